package registry

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func controllerRevisionKind() *Kind {
	return define(appsv1.SchemeGroupVersion, &appsv1.ControllerRevisionList{}, definition[*appsv1.ControllerRevision]{
		Namespaced: true,

		Validate: func(obj *appsv1.ControllerRevision) field.ErrorList {
			var errs field.ErrorList
			if obj.Data.Raw == nil && obj.Data.Object == nil {
				errs = append(errs, field.Required(field.NewPath("data"), "data is mandatory"))
			}
			return append(errs, nonNegative(field.NewPath("revision"), &obj.Revision)...)
		},
		ValidateUpdate: func(obj, old *appsv1.ControllerRevision) field.ErrorList {
			return apivalidation.ValidateImmutableField(obj.Data, old.Data, field.NewPath("data"))
		},

		Columns: []Column{
			column("Controller", "string", "Controller of the object", func(obj *appsv1.ControllerRevision) any { return controllerName(obj) }),
			column("Revision", "string", appsv1.ControllerRevision{}.SwaggerDoc()["revision"], func(obj *appsv1.ControllerRevision) any { return obj.Revision }),
			ageColumn(),
		},
	})
}

// controllerName is what kubectl takes: "statefulset.apps/web".
func controllerName(obj Object) string {
	ref := metav1.GetControllerOf(obj)
	if ref == nil {
		return noneCell
	}
	kind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind()
	return strings.ToLower(kind.String()) + "/" + ref.Name
}
