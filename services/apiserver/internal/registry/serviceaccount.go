package registry

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func serviceAccountKind() *Kind {
	return &Kind{
		GVK: corev1.SchemeGroupVersion.WithKind("ServiceAccount"), Resource: "serviceaccounts", Singular: "serviceaccount",
		ShortNames: []string{"sa"}, Namespaced: true,
		Type:    "k8s.io.api.core.v1.ServiceAccount",
		New:     func() Object { return &corev1.ServiceAccount{} },
		NewList: func() runtime.Object { return &corev1.ServiceAccountList{} },

		PrepareCreate: create(func(obj *corev1.ServiceAccount) { noGeneration(obj) }),
		PrepareUpdate: keepGeneration,
		Validate:      check(validateServiceAccount),

		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns: []Column{
			ageColumn(),
		},
	}
}

func validateServiceAccount(obj *corev1.ServiceAccount) field.ErrorList {
	// A pod would have to inherit these, and nothing does that yet.
	if len(obj.ImagePullSecrets) > 0 {
		return field.ErrorList{field.Forbidden(field.NewPath("imagePullSecrets"), notSupported)}
	}
	return nil
}
