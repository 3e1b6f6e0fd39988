package storage

import (
	"fmt"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

const (
	longestDriverName = 63
	longestNodeID     = 256
)

// CSINode defines which drivers a node has.
func CSINode() *registry.Kind {
	return registry.Define(storagev1.SchemeGroupVersion, &storagev1.CSINodeList{}, registry.Definition[*storagev1.CSINode]{
		Versioned: true,

		Validate:       validateCSINode,
		ValidateUpdate: validateCSINodeUpdate,

		Columns: []registry.Column{
			registry.ColumnOf("Drivers", "integer", "Drivers indicates the number of CSI drivers registered on the node", func(obj *storagev1.CSINode) any {
				return int64(len(obj.Spec.Drivers))
			}),
			registry.Age(),
		},
	})
}

func validateCSINode(obj *storagev1.CSINode) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	for i := range obj.Spec.Drivers {
		errs = append(errs, validateNodeDriver(&obj.Spec.Drivers[i], names, field.NewPath("spec", "drivers").Index(i))...)
	}
	if len(obj.Status.StorageHealth) > 0 {
		errs = append(errs, field.Forbidden(field.NewPath("status", "storageHealth"), support.NotSupported))
	}
	return errs
}

func validateNodeDriver(d *storagev1.CSINodeDriver, names map[string]bool, path *field.Path) field.ErrorList {
	errs := validateDriverName(d.Name, path.Child("name"))
	switch {
	case d.NodeID == "":
		errs = append(errs, field.Required(path.Child("nodeID"), ""))
	case len(d.NodeID) > longestNodeID:
		errs = append(errs, field.Invalid(path.Child("nodeID"), d.NodeID, fmt.Sprintf("must be %d characters or less", longestNodeID)))
	}
	if d.Allocatable != nil {
		errs = append(errs, check.NonNegative(path.Child("allocatable", "count"), d.Allocatable.Count)...)
	}
	if names[d.Name] {
		errs = append(errs, field.Duplicate(path.Child("name"), d.Name))
	}
	names[d.Name] = true
	keys := map[string]bool{}
	for _, key := range d.TopologyKeys {
		if key == "" {
			errs = append(errs, field.Required(path, ""))
		}
		if keys[key] {
			errs = append(errs, field.Duplicate(path, key))
		}
		keys[key] = true
		errs = append(errs, check.Invalid(path, key, content.IsLabelKey(key))...)
	}
	return errs
}

// validateDriverName checks the name of a CSI driver where it is referred to.
func validateDriverName(name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(path, ""))
	}
	if len(name) > longestDriverName {
		errs = append(errs, field.TooLong(path, "" /* unused */, longestDriverName))
	}
	return append(errs, check.Invalid(path, name, validation.IsDNS1123Subdomain(strings.ToLower(name)))...)
}

// validateCSINodeUpdate keeps what a driver registered, but for how many volumes fit.
func validateCSINodeUpdate(obj, old *storagev1.CSINode) field.ErrorList {
	var errs field.ErrorList
	for _, before := range old.Spec.Drivers {
		for _, now := range obj.Spec.Drivers {
			if before.Name == now.Name {
				before.Allocatable, now.Allocatable = nil, nil
				errs = append(errs, apivalidation.ValidateImmutableField(now, before, field.NewPath("spec", "drivers"))...)
			}
		}
	}
	return errs
}
