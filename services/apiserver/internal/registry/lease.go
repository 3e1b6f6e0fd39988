package registry

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// leaseKept is how long a Lease is kept after it ran out, so that who comes back
// late still finds who held it.
const leaseKept = 24 * time.Hour

func leaseKind() *Kind {
	return &Kind{
		GVK: coordinationv1.SchemeGroupVersion.WithKind("Lease"), Resource: "leases", Singular: "lease", Namespaced: true,
		Type:    "k8s.io.api.coordination.v1.Lease",
		New:     func() Object { return &coordinationv1.Lease{} },
		NewList: func() runtime.Object { return &coordinationv1.LeaseList{} },

		PrepareCreate: create(func(obj *coordinationv1.Lease) { noGeneration(obj) }),
		PrepareUpdate: keepGeneration,
		Validate:      check(validateLease),
		Expires:       func(obj Object, now time.Time) time.Time { return leaseExpires(obj.(*coordinationv1.Lease), now) },

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

// leaseExpires lets a Lease go that nobody renews and that does not go with its
// owner. A Lease that is not held is data: how many times it changed hands. It
// counts from now where that is later than renewTime, which is by the holder's
// clock: one that is a day late must not lose the Lease that it renews.
func leaseExpires(obj *coordinationv1.Lease, now time.Time) time.Time {
	s := obj.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" || s.RenewTime == nil || s.LeaseDurationSeconds == nil || len(obj.OwnerReferences) > 0 {
		return time.Time{}
	}
	renewed := s.RenewTime.Time
	if renewed.Before(now) {
		renewed = now
	}
	return renewed.Add(time.Duration(*s.LeaseDurationSeconds)*time.Second + leaseKept)
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
