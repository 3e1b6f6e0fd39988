package registry

import (
	corev1 "k8s.io/api/core/v1"
)

func serviceAccountKind() *Kind {
	return define(corev1.SchemeGroupVersion, &corev1.ServiceAccountList{}, definition[*corev1.ServiceAccount]{
		ShortNames: []string{"sa"}, Namespaced: true,
	})
}
