package registry

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func podTemplateKind() *Kind {
	return define(corev1.SchemeGroupVersion, &corev1.PodTemplateList{}, definition[*corev1.PodTemplate]{
		Namespaced: true,

		Default: func(obj *corev1.PodTemplate) { defaultPodSpec(&obj.Template.Spec) },

		Validate: func(obj *corev1.PodTemplate) field.ErrorList {
			return validatePodTemplate(&obj.Template, field.NewPath("template"))
		},
		Warnings: func(obj *corev1.PodTemplate) []string {
			return podSpecWarnings(&obj.Template.Spec, field.NewPath("template", "spec"))
		},

		Columns: append(narrow(imageColumns(func(obj *corev1.PodTemplate) []corev1.Container { return obj.Template.Spec.Containers })),
			column("Pod Labels", "string", "The labels for the pod template.", func(obj *corev1.PodTemplate) any {
				return labels.FormatLabels(obj.Template.Labels)
			}),
		),
	})
}
