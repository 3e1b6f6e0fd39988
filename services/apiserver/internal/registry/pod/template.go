package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// Template defines stored templates of pods.
func Template() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.PodTemplateList{}, registry.Definition[*corev1.PodTemplate]{
		Namespaced: true,

		Default: func(obj *corev1.PodTemplate) { podspec.Default(&obj.Template.Spec) },

		Validate: func(obj *corev1.PodTemplate) field.ErrorList {
			return workload.ValidateTemplate(&obj.Template, field.NewPath("template"))
		},
		Warnings: func(obj *corev1.PodTemplate) []string {
			return podspec.Warnings(&obj.Template.Spec, field.NewPath("template", "spec"))
		},

		Columns: append(registry.Narrow(workload.ImageColumns(func(obj *corev1.PodTemplate) []corev1.Container { return obj.Template.Spec.Containers })),
			registry.ColumnOf("Pod Labels", "string", "The labels for the pod template.", func(obj *corev1.PodTemplate) any {
				return labels.FormatLabels(obj.Template.Labels)
			}),
		),
	})
}
