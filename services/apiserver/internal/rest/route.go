package rest

import (
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// route is what a path under /api or /apis names.
type route struct {
	gv        schema.GroupVersion
	resource  string // empty: the discovery document of gv
	namespace string
	name      string
	sub       string
	watch     bool // below /watch/, which is how old clients ask to watch
}

// parseRoute reads the path of an API group version and what is below it.
func parseRoute(path string) (route, bool) {
	parts := strings.Split(strings.TrimPrefix(strings.TrimSuffix(path, "/"), "/"), "/")
	all := parts
	var r route
	switch {
	case parts[0] == "api" && len(parts) >= 2:
		r.gv.Version, parts = parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) >= 3:
		r.gv.Group, r.gv.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return r, false
	}
	if len(parts) > 1 && parts[0] == "watch" {
		r.watch, parts = true, parts[1:]
	}
	if len(parts) > 2 && parts[0] == "namespaces" && !isNamespaceSubresource(parts) {
		r.namespace, parts = parts[1], parts[2:]
	}
	if len(parts) > 2 && parts[2] == proxySubresource {
		all = all[:len(all)-len(parts)+3] // What is below is the backend's.
		parts = parts[:3]
	}
	if len(parts) > 3 || slices.Contains(all, "") {
		return r, false
	}
	for i, into := range []*string{&r.resource, &r.name, &r.sub} {
		if i < len(parts) {
			*into = parts[i]
		}
	}
	return r, true
}

// asWatch returns the request in the form that is usual for watches.
func (r *route) asWatch(request *http.Request) (*http.Request, error) {
	if request.Method != http.MethodGet || r.sub != "" {
		return nil, notFound()
	}
	q := request.URL.Query()
	q.Set("watch", "true")
	if name := r.name; name != "" {
		r.name = ""
		if one := "metadata.name=" + name; q.Get("fieldSelector") == "" {
			q.Set("fieldSelector", one)
		} else if q.Get("fieldSelector") != one {
			return nil, apierrors.NewBadRequest("fieldSelector metadata.name doesn't match requested name")
		}
	}
	out := request.Clone(request.Context())
	out.URL.RawQuery = q.Encode()
	return out, nil
}

// isNamespaceSubresource tells namespaces/x/status from namespaces/x/pods.
func isNamespaceSubresource(parts []string) bool {
	return len(parts) == 3 && (parts[2] == "status" || parts[2] == "finalize")
}

// target finds the kind that the route names.
func (h *Handler) target(r route) (objects.Target, bool) {
	k, ok := h.objects.Kinds().ByResource(r.gv.WithResource(r.resource))
	if !ok || (r.namespace != "" && !k.Namespaced) {
		return objects.Target{}, false
	}
	if k.Namespaced && r.namespace == "" && r.name != "" {
		return objects.Target{}, false
	}
	t := objects.Target{Kind: k, Namespace: r.namespace, Name: r.name, Subresource: r.sub}
	if r.sub != "" {
		if _, ok := k.Subresource(r.sub); !ok {
			return objects.Target{}, false
		}
	}
	return t, true
}

// verbFunc answers one verb on a target.
type verbFunc func(h *Handler, w http.ResponseWriter, r *http.Request, t objects.Target) error

// method is what a path is asked for: of one object, or of a collection.
type method struct {
	name       string
	collection bool
}

// verbs is what the methods mean.
var verbs = map[method]string{
	{http.MethodGet, false}: "get", {http.MethodPut, false}: "update",
	{http.MethodPatch, false}: "patch", {http.MethodDelete, false}: "delete",
	{http.MethodGet, true}: "list", {http.MethodPost, true}: "create", {http.MethodDelete, true}: "deletecollection",
}

var verbFuncs = map[string]verbFunc{
	"get": (*Handler).get, "update": (*Handler).update, "patch": (*Handler).patch, "delete": (*Handler).delete,
	"list": (*Handler).list, "watch": (*Handler).watch, "create": (*Handler).create, "deletecollection": (*Handler).deleteCollection,
}

// streamFuncs serve the subresources whose answers take as long as they take.
var streamFuncs = map[string]verbFunc{
	"log": (*Handler).log, "exec": (*Handler).exec, "attach": (*Handler).exec, "portforward": (*Handler).portForward,
	proxySubresource: (*Handler).proxy,
}

// subresourceVerbOf is what a method asks of a subresource.
func subresourceVerbOf(name string) string {
	return verbs[method{name, name == http.MethodPost}]
}

// verbOf chooses the function for a method; nil is a method that is not allowed.
func (h *Handler) verbOf(r *http.Request, t objects.Target) verbFunc {
	if t.Subresource != "" {
		return h.subresourceVerb(r, t)
	}
	verb := verbs[method{r.Method, t.Name == ""}]
	if verb == "list" && isWatch(r) {
		verb = "watch"
	}
	if t.Kind.Namespaced && t.Namespace == "" && verb != "list" && verb != "watch" {
		return nil // Of all namespaces together there is no more.
	}
	if !slices.Contains(t.Kind.Verbs, verb) {
		return nil
	}
	return verbFuncs[verb]
}

func (h *Handler) subresourceVerb(r *http.Request, t objects.Target) verbFunc {
	verb := subresourceVerbOf(r.Method)
	sub, _ := t.Kind.Subresource(t.Subresource)
	if _, ok := proxyVerbs[r.Method]; ok && t.Subresource == proxySubresource {
		return (*Handler).proxy
	}
	if !hasVerb(sub, verb) {
		return nil
	}
	if stream, ok := streamFuncs[t.Subresource]; ok {
		return stream
	}
	return verbFuncs[verb]
}

func hasVerb(sub *registry.Subresource, verb string) bool {
	return slices.Contains(sub.Verbs, verb)
}

// isWatch tells whether a list is asked to go on.
func isWatch(r *http.Request) bool {
	return strings.Contains(r.URL.RawQuery, "watch") && isSet(r.URL.Query(), "watch")
}
