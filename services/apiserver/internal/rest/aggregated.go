package rest

import (
	"net/http"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const aggregatedType = typeJSON + ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// wantsAggregated tells whether the client prefers all of discovery in one document.
func wantsAggregated(r *http.Request) bool {
	for _, c := range parseAccept(r.Header.Get("Accept")) {
		media := mediaOf(c)
		if _, ok := canonicalMedia(media); !ok {
			continue
		}
		if c.Params["as"] == "" {
			return false
		}
		if media == typeJSON && c.Params["g"] == apidiscoveryv2.GroupName && c.Params["v"] == "v2" && c.Params["as"] == "APIGroupDiscoveryList" {
			return true
		}
	}
	return false
}

func (h *Handler) aggregated(w http.ResponseWriter, r *http.Request, core bool) error {
	list := apidiscoveryv2.APIGroupDiscoveryList{TypeMeta: metav1.TypeMeta{
		Kind: "APIGroupDiscoveryList", APIVersion: apidiscoveryv2.SchemeGroupVersion.String(),
	}}
	for _, gv := range h.groupVersions() {
		if (gv.Group == "") != core {
			continue
		}
		version := h.discoverVersion(gv)
		if n := len(list.Items); n > 0 && list.Items[n-1].Name == gv.Group {
			list.Items[n-1].Versions = append(list.Items[n-1].Versions, version)
			continue
		}
		list.Items = append(list.Items, apidiscoveryv2.APIGroupDiscovery{
			ObjectMeta: metav1.ObjectMeta{Name: gv.Group}, Versions: []apidiscoveryv2.APIVersionDiscovery{version},
		})
	}
	w.Header().Set("Vary", "Accept")
	return writeJSONAs(w, http.StatusOK, aggregatedType, list)
}

func (h *Handler) discoverVersion(gv schema.GroupVersion) apidiscoveryv2.APIVersionDiscovery {
	out := apidiscoveryv2.APIVersionDiscovery{Version: gv.Version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent}
	for _, k := range h.objects.Kinds().Kinds() {
		if k.GVK.GroupVersion() == gv {
			out.Resources = append(out.Resources, discoverKind(k))
		}
	}
	return out
}

func discoverKind(k *registry.Kind) apidiscoveryv2.APIResourceDiscovery {
	scope := apidiscoveryv2.ScopeCluster
	if k.Namespaced {
		scope = apidiscoveryv2.ScopeNamespace
	}
	out := apidiscoveryv2.APIResourceDiscovery{
		Resource: k.Resource, ResponseKind: kindOf(k.GVK, k.GVK.GroupVersion()), Scope: scope, SingularResource: k.Singular,
		Verbs: k.Verbs, ShortNames: k.ShortNames, Categories: k.Categories,
	}
	for _, sub := range k.Subresources {
		out.Subresources = append(out.Subresources, apidiscoveryv2.APISubresourceDiscovery{
			Subresource: sub.Name, ResponseKind: kindOf(sub.GVK, k.GVK.GroupVersion()), Verbs: sub.Verbs,
		})
	}
	return out
}

// kindOf leaves the group and version empty where they are the resource's own, as
// Kubernetes does.
func kindOf(gvk schema.GroupVersionKind, of schema.GroupVersion) *metav1.GroupVersionKind {
	if gvk.GroupVersion() == of {
		return &metav1.GroupVersionKind{Kind: gvk.Kind}
	}
	return &metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}
}
