package core

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// ConfigMap defines configuration.
func ConfigMap() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.ConfigMapList{}, registry.Definition[*corev1.ConfigMap]{
		ShortNames: []string{"cm"}, Namespaced: true,

		Validate:       validateConfigMap,
		ValidateUpdate: validateConfigMapUpdate,

		Columns: []registry.Column{
			registry.ColumnOf("Data", "string", corev1.ConfigMap{}.SwaggerDoc()["data"], func(obj *corev1.ConfigMap) any {
				return int64(len(obj.Data) + len(obj.BinaryData))
			}),
			registry.Age(),
		},
	})
}

func validateConfigMap(obj *corev1.ConfigMap) field.ErrorList {
	errs, size := validateData("data", obj.Data)
	binary, binarySize := validateData("binaryData", obj.BinaryData)
	for key := range obj.Data {
		if _, both := obj.BinaryData[key]; both {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(key), key, "duplicate of key present in binaryData"))
		}
	}
	slices.SortStableFunc(errs, byField)
	errs = append(errs, binary...)
	if size+binarySize > corev1.MaxSecretSize {
		// Kubernetes names no field here: the sum is too much, not one of them.
		errs = append(errs, field.TooLong(field.NewPath(""), "" /* unused */, corev1.MaxSecretSize))
	}
	return errs
}

// validateData checks the keys of the field at path, and adds up what they hold.
func validateData[V string | []byte](path string, data map[string]V) (errs field.ErrorList, size int) {
	for key, value := range data {
		for _, msg := range validation.IsConfigMapKey(key) {
			errs = append(errs, field.Invalid(field.NewPath(path).Key(key), key, msg))
		}
		size += len(value)
	}
	slices.SortStableFunc(errs, byField)
	return errs, size
}

// byField orders what was found wrong with a map, which has no order: sorting the
// keys first would cost those most with whom nothing is wrong.
func byField(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) }

const immutableSet = "field is immutable when `immutable` is set"

func validateConfigMapUpdate(obj, old *corev1.ConfigMap) field.ErrorList {
	if old.Immutable == nil || !*old.Immutable {
		return nil
	}
	var errs field.ErrorList
	if obj.Immutable == nil || !*obj.Immutable {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), immutableSet))
	}
	if !check.Equal(obj.Data, old.Data) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), immutableSet))
	}
	if !check.Equal(obj.BinaryData, old.BinaryData) {
		errs = append(errs, field.Forbidden(field.NewPath("binaryData"), immutableSet))
	}
	return errs
}
