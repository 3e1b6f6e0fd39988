package storage

import (
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// CSIDriver defines what a driver of storage can do.
func CSIDriver() *registry.Kind {
	return registry.Define(storagev1.SchemeGroupVersion, &storagev1.CSIDriverList{}, registry.Definition[*storagev1.CSIDriver]{
		Versioned: true,
		// All but what is immutable counts.
		Generation: true,

		Default:  defaultCSIDriver,
		Validate: validateCSIDriver,
		ValidateUpdate: func(obj, old *storagev1.CSIDriver) field.ErrorList {
			spec := field.NewPath("spec")
			errs := apivalidation.ValidateImmutableField(obj.Spec.AttachRequired, old.Spec.AttachRequired, spec.Child("attachedRequired"))
			return append(errs, apivalidation.ValidateImmutableField(obj.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes, spec.Child("volumeLifecycleModes"))...)
		},

		Columns: csiDriverColumns(),
	})
}

func defaultCSIDriver(obj *storagev1.CSIDriver) {
	s := &obj.Spec
	registry.OrDefault(&s.AttachRequired, true)
	registry.OrDefault(&s.PodInfoOnMount, false)
	registry.OrDefault(&s.StorageCapacity, false)
	registry.OrDefault(&s.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
	if len(s.VolumeLifecycleModes) == 0 {
		s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
	}
	registry.OrDefault(&s.RequiresRepublish, false)
	registry.OrDefault(&s.SELinuxMount, false)
}

func csiDriverColumns() []registry.Column {
	doc := storagev1.CSIDriverSpec{}.SwaggerDoc()
	flag := func(name, field string, value func(*storagev1.CSIDriverSpec) *bool, def bool) registry.Column {
		return registry.ColumnOf(name, "boolean", doc[field], func(obj *storagev1.CSIDriver) any { return ptr.Deref(value(&obj.Spec), def) })
	}
	return []registry.Column{
		flag("AttachRequired", "attachRequired", func(s *storagev1.CSIDriverSpec) *bool { return s.AttachRequired }, true),
		flag("PodInfoOnMount", "podInfoOnMount", func(s *storagev1.CSIDriverSpec) *bool { return s.PodInfoOnMount }, false),
		flag("StorageCapacity", "storageCapacity", func(s *storagev1.CSIDriverSpec) *bool { return s.StorageCapacity }, false),
		registry.ColumnOf("TokenRequests", "string", doc["tokenRequests"], func(obj *storagev1.CSIDriver) any {
			if obj.Spec.TokenRequests == nil {
				return registry.UnsetCell
			}
			var audiences []string
			for _, r := range obj.Spec.TokenRequests {
				audiences = append(audiences, r.Audience)
			}
			return strings.Join(audiences, ",")
		}),
		flag("RequiresRepublish", "requiresRepublish", func(s *storagev1.CSIDriverSpec) *bool { return s.RequiresRepublish }, false),
		registry.ColumnOf("Modes", "string", doc["volumeLifecycleModes"], func(obj *storagev1.CSIDriver) any {
			var modes []string
			for _, m := range obj.Spec.VolumeLifecycleModes {
				modes = append(modes, string(m))
			}
			return registry.OrNone(strings.Join(modes, ","))
		}),
		registry.Age(),
	}
}

func validateCSIDriver(obj *storagev1.CSIDriver) field.ErrorList {
	path, s := field.NewPath("spec"), &obj.Spec
	errs := check.Present(path.Child("attachedRequired"), s.AttachRequired)
	errs = append(errs, check.Present(path.Child("podInfoOnMount"), s.PodInfoOnMount)...)
	errs = append(errs, check.Present(path.Child("storageCapacity"), s.StorageCapacity)...)
	if s.FSGroupPolicy != nil {
		errs = append(errs, check.Among(path.Child("fsGroupPolicy"), *s.FSGroupPolicy, storagev1.FileFSGroupPolicy,
			storagev1.NoneFSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)...)
	}
	errs = append(errs, validateTokenRequests(s.TokenRequests, path.Child("tokenRequests"))...)
	for _, mode := range s.VolumeLifecycleModes {
		errs = append(errs, check.Among(path.Child("volumeLifecycleModes"), mode, storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)...)
	}
	errs = append(errs, check.Present(path.Child("seLinuxMount"), s.SELinuxMount)...)
	if n := s.NodeAllocatableUpdatePeriodSeconds; n != nil && *n < 10 {
		errs = append(errs, field.Invalid(path.Child("nodeAllocatableUpdatePeriodSeconds"), *n, "must be greater than or equal to 10 seconds"))
	}
	if s.ServiceAccountTokenInSecrets != nil && len(s.TokenRequests) == 0 {
		errs = append(errs, field.Invalid(path.Child("serviceAccountTokenInSecrets"), *s.ServiceAccountTokenInSecrets, "must not be set when tokenRequests is not set"))
	}
	return errs
}

// Bounds of how long a token that is handed to a driver is valid, in seconds.
const (
	shortestToken = 10 * 60
	longestToken  = 1 << 32
)

func validateTokenRequests(list []storagev1.TokenRequest, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	for i, r := range list {
		p := path.Index(i)
		if seen[r.Audience] {
			errs = append(errs, field.Duplicate(p.Child("audience"), r.Audience))
			continue
		}
		seen[r.Audience] = true
		switch n := ptr.Deref(r.ExpirationSeconds, shortestToken); {
		case n < shortestToken:
			errs = append(errs, field.Invalid(p.Child("expirationSeconds"), n, "may not specify a duration less than 10 minutes"))
		case n > longestToken:
			errs = append(errs, field.Invalid(p.Child("expirationSeconds"), n, "may not specify a duration larger than 2^32 seconds"))
		}
	}
	return errs
}
