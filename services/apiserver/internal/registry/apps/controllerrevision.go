package apps

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// ControllerRevision defines former templates of sets.
func ControllerRevision() *registry.Kind {
	return registry.Define(appsv1.SchemeGroupVersion, &appsv1.ControllerRevisionList{}, registry.Definition[*appsv1.ControllerRevision]{
		Namespaced: true,

		Validate: func(obj *appsv1.ControllerRevision) field.ErrorList {
			var errs field.ErrorList
			if obj.Data.Raw == nil && obj.Data.Object == nil {
				errs = append(errs, field.Required(field.NewPath("data"), "data is mandatory"))
			}
			return append(errs, check.NonNegative(field.NewPath("revision"), &obj.Revision)...)
		},
		ValidateUpdate: func(obj, old *appsv1.ControllerRevision) field.ErrorList {
			return apivalidation.ValidateImmutableField(obj.Data, old.Data, field.NewPath("data"))
		},

		Columns: []registry.Column{
			registry.ColumnOf("Controller", "string", "Controller of the object", func(obj *appsv1.ControllerRevision) any { return controllerName(obj) }),
			registry.ColumnOf("Revision", "string", appsv1.ControllerRevision{}.SwaggerDoc()["revision"], func(obj *appsv1.ControllerRevision) any { return obj.Revision }),
			registry.Age(),
		},
	})
}

// controllerName is what kubectl takes: "statefulset.apps/web".
func controllerName(obj registry.Object) string {
	ref := metav1.GetControllerOf(obj)
	if ref == nil {
		return registry.NoneCell
	}
	kind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind()
	return strings.ToLower(kind.String()) + "/" + ref.Name
}
