package rest

import (
	"net/http"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// serveDocuments answers what describes the API; false is a path that it does
// not know.
func (h *Handler) serveDocuments(w http.ResponseWriter, r *http.Request) (bool, error) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case path == "":
		return true, writeJSON(w, http.StatusOK, metav1.RootPaths{Paths: h.paths()})
	case path == "/api":
		if wantsAggregated(r) {
			return true, h.aggregated(w, r, true)
		}
		return true, writeDocument(w, r, &metav1.APIVersions{
			TypeMeta: metav1.TypeMeta{Kind: "APIVersions", APIVersion: "v1"}, Versions: []string{"v1"},
			ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: r.Host}},
		})
	case path == "/apis":
		if wantsAggregated(r) {
			return true, h.aggregated(w, r, false)
		}
		list := &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, g := range h.groups() {
			list.Groups = append(list.Groups, *g)
		}
		return true, writeDocument(w, r, list)
	case strings.HasPrefix(path, "/apis/") && strings.Count(path, "/") == 2:
		return true, h.group(w, r, strings.TrimPrefix(path, "/apis/"))
	case strings.HasPrefix(path, "/openapi/"):
		h.schemas.ServeHTTP(w, r)
		return true, nil
	}
	return false, nil
}

func (h *Handler) groupVersions() []schema.GroupVersion {
	seen := map[schema.GroupVersion]bool{}
	var out []schema.GroupVersion
	for _, k := range h.objects.Kinds().Kinds() {
		if gv := k.GVK.GroupVersion(); !seen[gv] {
			seen[gv] = true
			out = append(out, gv)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Group < out[j].Group })
	return out
}

func (h *Handler) groups() []*metav1.APIGroup {
	var out []*metav1.APIGroup
	for _, gv := range h.groupVersions() {
		if gv.Group == "" {
			continue
		}
		version := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
		if n := len(out); n > 0 && out[n-1].Name == gv.Group {
			out[n-1].Versions = append(out[n-1].Versions, version)
			continue
		}
		out = append(out, &metav1.APIGroup{Name: gv.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version})
	}
	return out
}

func (h *Handler) group(w http.ResponseWriter, r *http.Request, name string) error {
	for _, g := range h.groups() {
		if g.Name == name {
			g.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
			return writeDocument(w, r, g)
		}
	}
	return notFound()
}

func (h *Handler) resourceList(w http.ResponseWriter, r *http.Request, gv schema.GroupVersion) error {
	list := &metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String()}
	for _, k := range h.objects.Kinds().Kinds() {
		if k.GVK.GroupVersion() == gv {
			list.APIResources = append(list.APIResources, resourcesOf(k)...)
		}
	}
	if len(list.APIResources) == 0 {
		return notFound()
	}
	return writeDocument(w, r, list)
}

// resourcesOf describes a kind and its subresources.
func resourcesOf(k *registry.Kind) []metav1.APIResource {
	out := []metav1.APIResource{{
		Name: k.Resource, SingularName: k.Singular, Namespaced: k.Namespaced, Kind: k.GVK.Kind,
		Verbs: k.Verbs, ShortNames: k.ShortNames, Categories: k.Categories,
	}}
	for _, sub := range k.Subresources {
		res := metav1.APIResource{Name: k.Resource + "/" + sub.Name, Namespaced: k.Namespaced, Kind: sub.GVK.Kind, Verbs: sub.Verbs}
		if sub.GVK.GroupVersion() != k.GVK.GroupVersion() {
			res.Group, res.Version = sub.GVK.Group, sub.GVK.Version
		}
		out = append(out, res)
	}
	return out
}

func (h *Handler) paths() []string {
	out := []string{"/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"}
	for _, gv := range h.groupVersions() {
		if gv.Group != "" {
			out = append(out, "/apis/"+gv.Group, "/apis/"+gv.String())
		}
	}
	sort.Strings(out)
	return out
}

// document is a discovery document: it has both encodings, and a type.
type document interface {
	marshaler
	GetObjectKind() schema.ObjectKind
}

func writeDocument(w http.ResponseWriter, r *http.Request, doc document) error {
	f, err := negotiate(r, false)
	if err != nil {
		return err
	}
	f.as = asWhole
	body, err := marshal(f, doc, doc.GetObjectKind().GroupVersionKind())
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, f, body)
}
