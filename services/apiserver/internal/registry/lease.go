package registry

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func leaseKind() *Kind {
	return &Kind{
		GVK: coordinationv1.SchemeGroupVersion.WithKind("Lease"), Resource: "leases", Singular: "lease", Namespaced: true,
		Type:    "k8s.io.api.coordination.v1.Lease",
		New:     func() Object { return &coordinationv1.Lease{} },
		NewList: func() runtime.Object { return &coordinationv1.LeaseList{} },

		PrepareCreate: create(func(obj *coordinationv1.Lease) { noGeneration(obj) }),
		PrepareUpdate: keepGeneration,
		Validate:      check(validateLease),

		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns: []Column{
			column("Holder", "string", coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"], func(obj *coordinationv1.Lease) any {
				if obj.Spec.HolderIdentity == nil {
					return ""
				}
				return *obj.Spec.HolderIdentity
			}),
			ageColumn(),
		},
	}
}

var leaseSpecFields = supported("holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions")

func validateLease(obj *coordinationv1.Lease) field.ErrorList {
	spec := field.NewPath("spec")
	errs := unsupported(obj.Spec, leaseSpecFields, spec)
	if d := obj.Spec.LeaseDurationSeconds; d != nil && *d <= 0 {
		errs = append(errs, field.Invalid(spec.Child("leaseDurationSeconds"), *d, "must be greater than 0"))
	}
	if n := obj.Spec.LeaseTransitions; n != nil && *n < 0 {
		errs = append(errs, field.Invalid(spec.Child("leaseTransitions"), *n, "must be greater than or equal to 0"))
	}
	return errs
}
