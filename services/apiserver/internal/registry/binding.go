package registry

import corev1 "k8s.io/api/core/v1"

// bindingKind is what pods/binding was before there were subresources; clients that
// old still bind so.
func bindingKind(pods *Kind) *Kind {
	k := define(corev1.SchemeGroupVersion, nil, definition[*corev1.Binding]{
		Namespaced: true, Verbs: []string{"create"},
	})
	k.Acts = &Action{Kind: pods, Subresource: "binding"}
	return k
}
