package registry

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
)

func serviceKind(o Options) *Kind {
	gvk := corev1.SchemeGroupVersion.WithKind("Service")
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

		ValidateName: apivalidation.NameIsDNS1035Label,

		Fields: func(o Object) fields.Set {
			obj := o.(*corev1.Service)
			return fields.Set{"spec.clusterIP": obj.Spec.ClusterIP, "spec.type": string(obj.Spec.Type)}
		},
		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns:            serviceColumns(),
		Subresources:       []Subresource{statusSubresource(gvk)},
	}
}
