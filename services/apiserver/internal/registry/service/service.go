// Package service has the kinds by which clients reach pods: services and their
// endpoints.
package service

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Service defines services.
func Service(o registry.Options) *registry.Kind {
	allocator := newServiceAllocator(o)
	return registry.Define(corev1.SchemeGroupVersion, &corev1.ServiceList{}, registry.Definition[*corev1.Service]{
		ShortNames: []string{"svc"}, Categories: []string{"all"}, Namespaced: true, Status: true, CreateOnUpdate: true,

		Default:       defaultService,
		PrepareCreate: prepareService,
		PrepareUpdate: updateService,

		Validate:       validateService,
		ValidateUpdate: validateServiceUpdate,

		ValidateStatusUpdate: validateServiceStatus,

		ValidateName: apivalidation.NameIsDNS1035Label,

		Claims: allocator.claims, Allocate: allocator.allocate, ClaimTaken: allocator.claimTaken,

		Fields: func(obj *corev1.Service) fields.Set {
			return fields.Set{"spec.clusterIP": obj.Spec.ClusterIP, "spec.type": string(obj.Spec.Type)}
		},
		Columns:      serviceColumns(),
		Subresources: []registry.Subresource{registry.Proxied("ServiceProxyOptions")},
	})
}
