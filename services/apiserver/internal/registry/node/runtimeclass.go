package node

import (
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/container"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
)

// RuntimeClass defines classes of the runtimes that nodes have.
func RuntimeClass() *registry.Kind {
	return registry.Define(nodev1.SchemeGroupVersion, &nodev1.RuntimeClassList{}, registry.Definition[*nodev1.RuntimeClass]{
		Versioned: true,

		Default: func(obj *nodev1.RuntimeClass) {
			if obj.Overhead != nil {
				resourcelist.Round(obj.Overhead.PodFixed)
			}
		},
		Validate: validateRuntimeClass,
		ValidateUpdate: func(obj, old *nodev1.RuntimeClass) field.ErrorList {
			return apivalidation.ValidateImmutableField(obj.Handler, old.Handler, field.NewPath("handler"))
		},

		Columns: []registry.Column{
			registry.ColumnOf("Handler", "string", nodev1.RuntimeClass{}.SwaggerDoc()["handler"], func(obj *nodev1.RuntimeClass) any { return obj.Handler }),
			registry.Age(),
		},
	})
}

func validateRuntimeClass(obj *nodev1.RuntimeClass) field.ErrorList {
	errs := check.Invalid(field.NewPath("handler"), obj.Handler, apivalidation.NameIsDNSLabel(obj.Handler, false))
	if obj.Overhead != nil {
		errs = append(errs, container.ValidateResources(&corev1.ResourceRequirements{Limits: obj.Overhead.PodFixed}, field.NewPath("overhead"))...)
	}
	if obj.Scheduling == nil {
		return errs
	}
	path := field.NewPath("scheduling")
	errs = append(errs, metav1validation.ValidateLabels(obj.Scheduling.NodeSelector, path.Child("nodeSelector"))...)
	path = path.Child("tolerations")
	errs = append(errs, podspec.ValidateTolerations(obj.Scheduling.Tolerations, path)...)
	seen := map[corev1.Toleration]bool{}
	for i, t := range obj.Scheduling.Tolerations {
		key := corev1.Toleration{Key: t.Key, Operator: t.Operator, Value: t.Value, Effect: t.Effect}
		if seen[key] {
			errs = append(errs, field.Duplicate(path.Index(i), t))
		}
		seen[key] = true
	}
	return errs
}
