package registry

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func namespaceKind() *Kind {
	gvk := corev1.SchemeGroupVersion.WithKind("Namespace")
	return &Kind{
		GVK: gvk, Resource: "namespaces", Singular: "namespace", ShortNames: []string{"ns"},
		Type:    "k8s.io.api.core.v1.Namespace",
		New:     func() Object { return &corev1.Namespace{} },
		NewList: func() runtime.Object { return &corev1.NamespaceList{} },

		Default:             mutate(defaultNamespace),
		PrepareCreate:       create(prepareNamespace),
		PrepareUpdate:       update(updateNamespace),
		PrepareStatusUpdate: update(func(obj, old *corev1.Namespace) { obj.Spec = old.Spec; keepGeneration(obj, old) }),
		PrepareDelete:       mutate(func(obj *corev1.Namespace) { obj.Status.Phase = corev1.NamespaceTerminating }),
		Held:                func(obj Object) bool { return len(obj.(*corev1.Namespace).Spec.Finalizers) > 0 },

		// A generated name is known only when values are allocated.
		Allocate: func(obj, _ Object, _ func(Claim) bool, _ func(int) int) *field.Error {
			defaultNamespace(obj.(*corev1.Namespace))
			return nil
		},

		Validate:             check(validateNamespace),
		ValidateStatusUpdate: checkUpdate(validateNamespaceStatus),
		ValidateName:         apivalidation.ValidateNamespaceName,

		Fields: func(obj Object) fields.Set {
			return fields.Set{"status.phase": string(obj.(*corev1.Namespace).Status.Phase)}
		},
		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns: []Column{
			column("Status", "string", "The status of the namespace", func(obj *corev1.Namespace) any { return string(obj.Status.Phase) }),
			ageColumn(),
		},
		Subresources: []Subresource{statusSubresource(gvk), {
			Name: "finalize", GVK: gvk, Verbs: []string{"update"}, Direct: true,
			NewObject: func() Object { return &corev1.Namespace{} },
			Get:       func(obj Object) (Object, error) { return obj, nil },
			Apply: func(obj, sub Object) error {
				obj.(*corev1.Namespace).Spec.Finalizers = slices.Clone(sub.(*corev1.Namespace).Spec.Finalizers)
				return nil
			},
		}},
	}
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
	noGeneration(obj)
	obj.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(obj.Spec.Finalizers, corev1.FinalizerKubernetes) {
		obj.Spec.Finalizers = append(obj.Spec.Finalizers, corev1.FinalizerKubernetes)
	}
}

func updateNamespace(obj, old *corev1.Namespace) {
	keepGeneration(obj, old)
	obj.Spec.Finalizers = old.Spec.Finalizers
	obj.Status = old.Status
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
