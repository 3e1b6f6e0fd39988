package registry

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func serviceKind(o Options) *Kind {
	gvk := corev1.SchemeGroupVersion.WithKind("Service")
	allocator := newServiceAllocator(o)
	return &Kind{
		GVK: gvk, Resource: "services", Singular: "service", ShortNames: []string{"svc"},
		Categories: []string{"all"}, Namespaced: true,
		Type:    "k8s.io.api.core.v1.Service",
		New:     func() Object { return &corev1.Service{} },
		NewList: func() runtime.Object { return &corev1.ServiceList{} },

		Default:       mutate(defaultService),
		PrepareCreate: create(prepareService),
		PrepareUpdate: update(updateService),
		PrepareStatusUpdate: update(func(obj, old *corev1.Service) {
			keepGeneration(obj, old)
			obj.Spec = old.Spec
		}),

		Validate:       check(validateService),
		ValidateUpdate: checkUpdate(validateServiceUpdate),
		ValidateName:   apivalidation.NameIsDNS1035Label,

		Claims: func(obj Object) []Claim { return allocator.claims(obj.(*corev1.Service)) },
		Allocate: func(obj, old Object, taken func(Claim) bool, pick func(int) int) *field.Error {
			before, _ := old.(*corev1.Service)
			return allocator.allocate(obj.(*corev1.Service), before, taken, pick)
		},
		ClaimTaken: func(obj Object, c Claim) *field.Error { return allocator.claimTaken(obj.(*corev1.Service), c) },

		Fields: func(o Object) fields.Set {
			obj := o.(*corev1.Service)
			return fields.Set{"spec.clusterIP": obj.Spec.ClusterIP, "spec.type": string(obj.Spec.Type)}
		},
		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns:            serviceColumns(),
		Subresources:       []Subresource{statusSubresource(gvk)},
	}
}
