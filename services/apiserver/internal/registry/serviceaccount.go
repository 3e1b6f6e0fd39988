package registry

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
)

func serviceAccountKind() *Kind {
	return define(corev1.SchemeGroupVersion, &corev1.ServiceAccountList{}, definition[*corev1.ServiceAccount]{
		ShortNames: []string{"sa"}, Namespaced: true,

		Subresources: []Subresource{{
			Name: "token", GVK: authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"), Verbs: answered,
			NewObject: func() Object { return &authenticationv1.TokenRequest{} },
		}},
	})
}
