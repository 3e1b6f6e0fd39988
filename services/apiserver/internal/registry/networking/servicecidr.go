package networking

import (
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// DefaultServiceCIDR is the name of the ServiceCIDR that tells where cluster IPs
// come from.
const DefaultServiceCIDR = "kubernetes"

// ServiceCIDR tells the range that the cluster was made with. It cannot be
// extended while the cluster runs: another range is refused, not stored and ignored.
func ServiceCIDR(o registry.Options) *registry.Kind {
	return registry.Define(networkingv1.SchemeGroupVersion, &networkingv1.ServiceCIDRList{}, registry.Definition[*networkingv1.ServiceCIDR]{
		// The servers make the only one, status included.
		Status: true, StatusAtCreate: true,

		Validate:       validateServiceCIDR,
		ValidateCreate: func(obj *networkingv1.ServiceCIDR) field.ErrorList { return onlyRange(obj, o.ServiceCIDR) },
		ValidateUpdate: validateServiceCIDRUpdate,
		ValidateStatusUpdate: func(obj, _ *networkingv1.ServiceCIDR) field.ErrorList {
			return metav1validation.ValidateConditions(obj.Status.Conditions, field.NewPath("status", "conditions"))
		},
		Kept: func(name string) string {
			if name == DefaultServiceCIDR {
				return "cluster IPs are taken from it for as long as the cluster lives"
			}
			return ""
		},

		Columns: []registry.Column{
			registry.ColumnOf("CIDRs", "string", networkingv1.ServiceCIDRSpec{}.SwaggerDoc()["cidrs"], func(obj *networkingv1.ServiceCIDR) any {
				return strings.Join(obj.Spec.CIDRs, ",")
			}),
			registry.Age(),
		},
	})
}

func onlyRange(obj *networkingv1.ServiceCIDR, cidr netip.Prefix) field.ErrorList {
	if obj.Name == DefaultServiceCIDR && slices.Equal(obj.Spec.CIDRs, []string{cidr.Masked().String()}) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", "cidrs"),
		"cluster IPs come from "+cidr.Masked().String()+" alone: this version of Muster takes no further range")}
}

func validateServiceCIDR(obj *networkingv1.ServiceCIDR) field.ErrorList {
	path, cidrs := field.NewPath("spec", "cidrs"), obj.Spec.CIDRs
	switch {
	case len(cidrs) == 0:
		return field.ErrorList{field.Required(path, "at least one CIDR required")}
	case len(cidrs) > 2:
		return field.ErrorList{field.Invalid(path, obj.Spec, "may only hold up to 2 values")}
	}
	var errs field.ErrorList
	for i, cidr := range cidrs {
		errs = append(errs, validation.IsValidCIDR(path.Index(i), cidr)...)
	}
	if len(cidrs) == 2 {
		a, errA := netip.ParsePrefix(cidrs[0])
		b, errB := netip.ParsePrefix(cidrs[1])
		if errA == nil && errB == nil && a.Addr().Is4() == b.Addr().Is4() {
			errs = append(errs, field.Invalid(path, cidrs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"))
		}
	}
	return errs
}

func validateServiceCIDRUpdate(obj, old *networkingv1.ServiceCIDR) field.ErrorList {
	path := field.NewPath("spec", "cidrs")
	if len(obj.Spec.CIDRs) != len(old.Spec.CIDRs) {
		return field.ErrorList{field.Invalid(path, obj.Spec.CIDRs, apivalidation.FieldImmutableErrorMsg)}
	}
	var errs field.ErrorList
	for i, cidr := range obj.Spec.CIDRs {
		if cidr != old.Spec.CIDRs[i] {
			errs = append(errs, field.Invalid(path.Index(i), cidr, apivalidation.FieldImmutableErrorMsg))
		}
	}
	return errs
}
