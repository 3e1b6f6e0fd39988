package storage

import (
	"math"

	storagev1 "k8s.io/api/storage/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// Bounds of a VolumeAttachment's status, in bytes.
const (
	largestAttachmentMetadata = 256 << 10
	longestVolumeError        = 1024
)

// VolumeAttachment defines which volume is to be at which node.
func VolumeAttachment() *registry.Kind {
	spec := storagev1.VolumeAttachmentSpec{}.SwaggerDoc()
	return registry.Define(storagev1.SchemeGroupVersion, &storagev1.VolumeAttachmentList{}, registry.Definition[*storagev1.VolumeAttachment]{
		Status: true, Versioned: true,

		Validate:       validateVolumeAttachment,
		ValidateCreate: validateNewAttachment,
		ValidateUpdate: func(obj, old *storagev1.VolumeAttachment) field.ErrorList {
			return apivalidation.ValidateImmutableField(obj.Spec, old.Spec, field.NewPath("spec"))
		},
		ValidateStatusUpdate: func(obj, _ *storagev1.VolumeAttachment) field.ErrorList {
			return validateAttachmentStatus(&obj.Status, field.NewPath("status"))
		},

		Columns: []registry.Column{
			registry.ColumnOf("Attacher", "string", spec["attacher"], func(obj *storagev1.VolumeAttachment) any { return obj.Spec.Attacher }),
			registry.ColumnOf("PV", "string", storagev1.VolumeAttachmentSource{}.SwaggerDoc()["persistentVolumeName"], func(obj *storagev1.VolumeAttachment) any {
				return ptr.Deref(obj.Spec.Source.PersistentVolumeName, "")
			}),
			registry.ColumnOf("Node", "string", spec["nodeName"], func(obj *storagev1.VolumeAttachment) any { return obj.Spec.NodeName }),
			registry.ColumnOf("Attached", "boolean", storagev1.VolumeAttachmentStatus{}.SwaggerDoc()["attached"], func(obj *storagev1.VolumeAttachment) any {
				return obj.Status.Attached
			}),
			registry.Age(),
		},
	})
}

func validateVolumeAttachment(obj *storagev1.VolumeAttachment) field.ErrorList {
	const one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
	var errs field.ErrorList
	path, spec := field.NewPath("spec"), &obj.Spec
	if spec.Attacher == "" {
		errs = append(errs, field.Required(path.Child("attacher"), ""))
	}
	source := path.Child("source")
	switch name := spec.Source.PersistentVolumeName; {
	case name == nil && spec.Source.InlineVolumeSpec == nil:
		errs = append(errs, field.Required(source, one))
	case name != nil && spec.Source.InlineVolumeSpec != nil:
		errs = append(errs, field.Forbidden(source, one))
	case name == nil:
		// It stands for volumes of drivers that were once part of Kubernetes.
		errs = append(errs, field.Forbidden(source.Child("inlineVolumeSpec"), support.NotSupported))
	case *name == "":
		errs = append(errs, field.Required(source.Child("persistentVolumeName"), "must specify non empty persistentVolumeName"))
	}
	errs = append(errs, check.Invalid(path.Child("nodeName"), spec.NodeName, validation.IsDNS1123Subdomain(spec.NodeName))...)
	return append(errs, validateAttachmentStatus(&obj.Status, field.NewPath("status"))...)
}

// validateNewAttachment checks what the first version of the API did not. Its paths
// are dotted words, as Kubernetes has them.
func validateNewAttachment(obj *storagev1.VolumeAttachment) field.ErrorList {
	errs := validateDriverName(obj.Spec.Attacher, field.NewPath("spec.attacher"))
	if name := obj.Spec.Source.PersistentVolumeName; name != nil {
		errs = append(errs, check.Invalid(field.NewPath("spec.source.persistentVolumeName"), *name, validation.IsDNS1123Subdomain(*name))...)
	}
	return errs
}

func validateAttachmentStatus(s *storagev1.VolumeAttachmentStatus, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	size := 0
	for key, value := range s.AttachmentMetadata {
		size += len(key) + len(value)
	}
	if size > largestAttachmentMetadata {
		errs = append(errs, field.TooLong(path.Child("attachmentMetadata"), "" /* unused */, largestAttachmentMetadata))
	}
	errs = append(errs, validateVolumeError(s.AttachError, path.Child("attachError"))...)
	return append(errs, validateVolumeError(s.DetachError, path.Child("detachError"))...)
}

func validateVolumeError(e *storagev1.VolumeError, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if e == nil {
		return nil
	}
	if len(e.Message) > longestVolumeError {
		// Kubernetes names the other bound.
		errs = append(errs, field.TooLong(path.Child("message"), "" /* unused */, largestAttachmentMetadata))
	}
	if n := ptr.Deref(e.ErrorCode, 0); n < 0 {
		errs = append(errs, field.Invalid(path.Child("errorCode"), n, validation.InclusiveRangeError(0, math.MaxInt32)))
	}
	return errs
}
