// Package core has the kinds that most others lean on: namespaces,
// configuration, secrets, accounts.
package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Namespace defines namespaces.
func Namespace() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.NamespaceList{}, registry.Definition[*corev1.Namespace]{
		ShortNames: []string{"ns"}, Status: true,
		// No collection of them goes at once, in Kubernetes neither.
		Verbs: []string{"create", "delete", "get", "list", "patch", "update", "watch"},

		Default:       defaultNamespace,
		PrepareCreate: prepareNamespace,
		PrepareUpdate: updateNamespace,
		PrepareDelete: func(obj *corev1.Namespace) { obj.Status.Phase = corev1.NamespaceTerminating },
		Held:          func(obj *corev1.Namespace) bool { return len(obj.Spec.Finalizers) > 0 },
		Kept:          namespaceKept,

		// A generated name is known only when values are allocated.
		Allocate: func(obj, _ *corev1.Namespace, _ func(registry.Claim) bool, _ func(int) int) *field.Error {
			defaultNamespace(obj)
			return nil
		},

		Validate:             validateNamespace,
		ValidateStatusUpdate: validateNamespaceStatus,
		ValidateName:         apivalidation.ValidateNamespaceName,

		Fields: func(obj *corev1.Namespace) fields.Set {
			return fields.Set{"status.phase": string(obj.Status.Phase)}
		},
		Columns: []registry.Column{
			registry.ColumnOf("Status", "string", "The status of the namespace", func(obj *corev1.Namespace) any { return string(obj.Status.Phase) }),
			registry.Age(),
		},
		Subresources: []registry.Subresource{{
			Name: "finalize", Verbs: []string{"update"}, Direct: true,
			NewObject: func() registry.Object { return &corev1.Namespace{} },
			Get:       func(obj registry.Object) (registry.Object, error) { return obj, nil },
			Apply: func(obj, sub registry.Object) error {
				obj.(*corev1.Namespace).Spec.Finalizers = slices.Clone(sub.(*corev1.Namespace).Spec.Finalizers)
				return nil
			},
		}},
	})
}

// namespaceKept keeps the namespaces that the cluster itself lives in.
func namespaceKept(name string) string {
	if slices.Contains([]string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic}, name) {
		return "this namespace may not be deleted"
	}
	return ""
}

func defaultNamespace(obj *corev1.Namespace) {
	if obj.Name == "" {
		return
	}
	if obj.Labels == nil {
		obj.Labels = map[string]string{}
	}
	obj.Labels[corev1.LabelMetadataName] = obj.Name
}

func prepareNamespace(obj *corev1.Namespace) {
	obj.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(obj.Spec.Finalizers, corev1.FinalizerKubernetes) {
		obj.Spec.Finalizers = append(obj.Spec.Finalizers, corev1.FinalizerKubernetes)
	}
}

func updateNamespace(obj, old *corev1.Namespace) {
	obj.Spec.Finalizers = old.Spec.Finalizers
}

func validateNamespace(obj *corev1.Namespace) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec", "finalizers")
	for i, f := range obj.Spec.Finalizers {
		errs = append(errs, apivalidation.ValidateFinalizerName(string(f), path.Index(i))...)
	}
	return errs
}

func validateNamespaceStatus(obj, old *corev1.Namespace) field.ErrorList {
	path := field.NewPath("status", "phase")
	switch {
	case obj.DeletionTimestamp.IsZero() && obj.Status.Phase != corev1.NamespaceActive:
		return field.ErrorList{field.Invalid(path, obj.Status.Phase, "may only be 'Active' if `deletionTimestamp` is empty")}
	case !obj.DeletionTimestamp.IsZero() && obj.Status.Phase != corev1.NamespaceTerminating:
		return field.ErrorList{field.Invalid(path, obj.Status.Phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")}
	}
	return nil
}
