package rest

import (
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
)

// authorizePath checks that the caller may see what is no object: documents, and what
// other parts of the server serve. Objects are authorised by who reads and writes them.
func (h *Handler) authorizePath(r *http.Request) error {
	if ofObjects(r.URL.Path) {
		return nil
	}
	return h.authorize(r, pathRequest(r))
}

// ofObjects tells the paths of objects (/api/v1/pods, /apis/apps/v1/deployments) from
// those of what describes them, without reading all of them as parseRoute does.
func ofObjects(path string) bool {
	path = strings.Trim(path, "/")
	return strings.HasPrefix(path, "api/") && strings.Count(path, "/") >= 2 ||
		strings.HasPrefix(path, "apis/") && strings.Count(path, "/") >= 3
}

func pathRequest(r *http.Request) auth.Request {
	return auth.Request{Verb: strings.ToLower(r.Method), Path: r.URL.Path}
}

// authorizeAbsent is authorizePath for objects of a kind that is not served and for what
// kinds do not do: who may not ask is not told either.
func (h *Handler) authorizeAbsent(r *http.Request, to route) error {
	return h.authorize(r, requestOf(r, to))
}

// requestOf says what is asked for by a request for an object or a collection.
func requestOf(r *http.Request, to route) auth.Request {
	verb := map[string]string{
		http.MethodGet: "get", http.MethodHead: "get", http.MethodPost: "create", http.MethodPut: "update",
		http.MethodPatch: "patch", http.MethodDelete: "delete",
	}[r.Method]
	if to.name == "" {
		switch {
		case verb == "get" && isWatch(r):
			verb = "watch"
		case verb == "get":
			verb = "list"
		case verb == "delete":
			verb = "deletecollection"
		}
	}
	return auth.Request{
		Verb: verb, Resource: schema.GroupResource{Group: to.gv.Group, Resource: to.resource},
		Subresource: to.sub, Namespace: to.namespace, Name: to.name,
	}
}

func (h *Handler) authorize(r *http.Request, request auth.Request) error {
	user, ok := access.UserFrom(r.Context())
	if !ok {
		return apierrors.NewUnauthorized("Unauthorized")
	}
	request.User = user
	return h.objects.Authorizer().Authorize(request)
}
