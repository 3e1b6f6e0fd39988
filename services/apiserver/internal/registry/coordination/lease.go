// Package coordination has the kind of leases.
package coordination

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// leaseKept is how long a Lease is kept after it ran out, so that who comes back
// late still finds who held it.
const leaseKept = 24 * time.Hour

// Lease defines leases.
func Lease() *registry.Kind {
	return registry.Define(coordinationv1.SchemeGroupVersion, &coordinationv1.LeaseList{}, registry.Definition[*coordinationv1.Lease]{
		Namespaced: true, Versioned: true, CreateOnUpdate: true,

		Validate: validateLease,
		Expires:  leaseExpires,

		Columns: []registry.Column{
			registry.ColumnOf("Holder", "string", coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"], func(obj *coordinationv1.Lease) any {
				if obj.Spec.HolderIdentity == nil {
					return ""
				}
				return *obj.Spec.HolderIdentity
			}),
			registry.Age(),
		},
	})
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

var leaseSpecFields = support.Fields("holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions")

func validateLease(obj *coordinationv1.Lease) field.ErrorList {
	spec := field.NewPath("spec")
	errs := support.Check(obj.Spec, leaseSpecFields, spec)
	if d := obj.Spec.LeaseDurationSeconds; d != nil && *d <= 0 {
		errs = append(errs, field.Invalid(spec.Child("leaseDurationSeconds"), *d, "must be greater than 0"))
	}
	if n := obj.Spec.LeaseTransitions; n != nil && *n < 0 {
		errs = append(errs, field.Invalid(spec.Child("leaseTransitions"), *n, "must be greater than or equal to 0"))
	}
	return errs
}
