package pod

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Binding is what pods/binding was before there were subresources; clients that
// old still bind so.
func Binding(pods *registry.Kind) *registry.Kind {
	k := registry.Define(corev1.SchemeGroupVersion, nil, registry.Definition[*corev1.Binding]{
		Namespaced: true, Verbs: []string{"create"},
	})
	k.Acts = &registry.Action{Kind: pods, Subresource: "binding"}
	return k
}
