package registry

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func serviceAccountKind() *Kind {
	return define(corev1.SchemeGroupVersion, &corev1.ServiceAccountList{}, definition[*corev1.ServiceAccount]{
		ShortNames: []string{"sa"}, Namespaced: true,

		Validate: validateServiceAccount,
	})
}

func validateServiceAccount(obj *corev1.ServiceAccount) field.ErrorList {
	// A pod would have to inherit these, and nothing does that yet.
	if len(obj.ImagePullSecrets) > 0 {
		return field.ErrorList{field.Forbidden(field.NewPath("imagePullSecrets"), notSupported)}
	}
	return nil
}
