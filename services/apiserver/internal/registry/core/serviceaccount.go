package core

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// ServiceAccount defines accounts of programs.
func ServiceAccount() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.ServiceAccountList{}, registry.Definition[*corev1.ServiceAccount]{
		ShortNames: []string{"sa"}, Namespaced: true,

		Subresources: []registry.Subresource{{
			Name: "token", GVK: authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"), Verbs: registry.Answered,
			NewObject: func() registry.Object { return &authenticationv1.TokenRequest{} },
		}},
	})
}
