package volume

import (
	"reflect"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// Source is a source that is set, and the field it is set in.
type Source struct {
	Field string
	value reflect.Value
}

// Given are the fields of s that are set, as JSON names them.
func Given(s any) []Source {
	var list []Source
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			list = append(list, Source{jsonName(v.Type().Field(i)), v.Field(i)})
		}
	}
	return list
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// ValidatePersistent checks what a persistent volume is made of.
func ValidatePersistent(s *corev1.PersistentVolumeSource, path *field.Path) field.ErrorList {
	given := Given(*s)
	if len(given) == 0 {
		return field.ErrorList{field.Required(path, "must specify a volume type")}
	}
	errs := validateGivenSource(s, given[0], path.Child(given[0].Field))
	for _, other := range given[1:] {
		errs = append(errs, field.Forbidden(path.Child(other.Field), "may not specify more than 1 volume type"))
	}
	return errs
}

// sourceFields are those that each source must have.
var sourceFields = map[string][]string{
	"gcePersistentDisk": {"pdName"}, "awsElasticBlockStore": {"volumeID"},
	"glusterfs": {"endpoints", "path"}, "nfs": {"server", "path"}, "rbd": {"monitors", "image"},
	"iscsi": {"targetPortal", "iqn"}, "cinder": {"volumeID"}, "cephfs": {"monitors"},
	"flexVolume": {"driver"}, "azureFile": {"secretName", "shareName"}, "vsphereVolume": {"volumePath"},
	"quobyte": {"registry", "volume"}, "azureDisk": {"diskName", "diskURI"}, "photonPersistentDisk": {"pdID"},
	"portworxVolume": {"volumeID"}, "scaleIO": {"gateway", "system", "volumeName"}, "storageos": {"volumeName"},
	"hostPath": {"path"}, "local": {"path"}, "csi": {"driver", "volumeHandle"},
}

func validateGivenSource(s *corev1.PersistentVolumeSource, source Source, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	set := map[string]bool{}
	for _, f := range Given(source.value.Elem().Interface()) {
		set[f.Field] = true
	}
	for _, want := range sourceFields[source.Field] {
		if !set[want] {
			errs = append(errs, field.Required(path.Child(want), ""))
		}
	}
	switch {
	case s.HostPath != nil && s.HostPath.Path != "":
		errs = append(errs, validateHostPath(s.HostPath, path)...)
	case s.NFS != nil && s.NFS.Path != "" && !strings.HasPrefix(s.NFS.Path, "/"):
		errs = append(errs, field.Invalid(path.Child("path"), s.NFS.Path, "must be an absolute path"))
	case s.Local != nil && s.Local.Path != "":
		errs = append(errs, check.NoBacksteps(s.Local.Path, path.Child("path"))...)
	case s.ISCSI != nil:
		errs = append(errs, validateISCSI(s.ISCSI, path)...)
	case s.FC != nil:
		errs = append(errs, validateFC(s.FC, path)...)
	case s.CSI != nil:
		errs = append(errs, validateCSI(s.CSI, path)...)
	}
	return errs
}

// iscsiNames are the forms that the name of a target has.
var iscsiNames = map[string]*regexp.Regexp{
	"iqn": regexp.MustCompile(`iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`),
	"eui": regexp.MustCompile(`^eui.[[:alnum:]]{16}$`),
	"naa": regexp.MustCompile(`^naa.[[:alnum:]]{32}$`),
}

func validateISCSIName(name, unknown string, path *field.Path) field.ErrorList {
	form, ok := iscsiNames[name[:min(3, len(name))]]
	switch {
	case !ok:
		return field.ErrorList{field.Invalid(path, name, unknown)}
	case !form.MatchString(name):
		return field.ErrorList{field.Invalid(path, name, "must be valid format")}
	}
	return nil
}

func validateISCSI(s *corev1.ISCSIPersistentVolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.IQN != "" {
		errs = append(errs, validateISCSIName(s.IQN, "must be valid format", path.Child("iqn"))...)
	}
	if s.Lun < 0 || s.Lun > 255 {
		errs = append(errs, field.Invalid(path.Child("lun"), s.Lun, validation.InclusiveRangeError(0, 255)))
	}
	if (s.DiscoveryCHAPAuth || s.SessionCHAPAuth) && s.SecretRef == nil {
		errs = append(errs, field.Required(path.Child("secretRef"), ""))
	}
	if s.SecretRef != nil && s.SecretRef.Name == "" {
		errs = append(errs, field.Required(path.Child("secretRef", "name"), ""))
	}
	if s.InitiatorName != nil {
		errs = append(errs, validateISCSIName(*s.InitiatorName, "must be valid format starting with iqn, eui, or naa", path.Child("initiatorname"))...)
	}
	return errs
}

func validateFC(s *corev1.FCVolumeSource, path *field.Path) field.ErrorList {
	if len(s.TargetWWNs) == 0 && len(s.WWIDs) == 0 {
		return field.ErrorList{field.Required(path.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both")}
	}
	if len(s.TargetWWNs) > 0 && len(s.WWIDs) > 0 {
		return field.ErrorList{field.Invalid(path.Child("targetWWNs"), s.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously")}
	}
	if len(s.TargetWWNs) > 0 && s.Lun == nil {
		return field.ErrorList{field.Required(path.Child("lun"), "lun is required if targetWWNs is specified")}
	}
	if lun := ptr.Deref(s.Lun, 0); lun < 0 || lun > 255 {
		return field.ErrorList{field.Invalid(path.Child("lun"), lun, validation.InclusiveRangeError(0, 255))}
	}
	return nil
}

func validateCSI(s *corev1.CSIPersistentVolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(s.Driver) > 63 {
		errs = append(errs, field.TooLong(path.Child("driver"), s.Driver, 63))
	}
	if s.Driver != "" {
		errs = append(errs, check.Invalid(path.Child("driver"), s.Driver, validation.IsDNS1123Subdomain(strings.ToLower(s.Driver)))...)
	}
	for _, r := range []struct {
		name string
		ref  *corev1.SecretReference
	}{
		{"controllerPublishSecretRef", s.ControllerPublishSecretRef}, {"controllerExpandSecretRef", s.ControllerExpandSecretRef},
		{"nodePublishSecretRef", s.NodePublishSecretRef}, {"nodeExpandSecretRef", s.NodeExpandSecretRef},
		{"nodeStageSecretRef", s.NodeStageSecretRef},
	} {
		if r.ref != nil {
			errs = append(errs, validateSecretReference(r.ref, path.Child(r.name))...)
		}
	}
	return errs
}

func validateSecretReference(ref *corev1.SecretReference, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if ref.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	} else {
		errs = append(errs, check.Invalid(path.Child("name"), ref.Name, validation.IsDNS1123Subdomain(ref.Name))...)
	}
	if ref.Namespace == "" {
		return append(errs, field.Required(path.Child("namespace"), ""))
	}
	return append(errs, check.Invalid(path.Child("namespace"), ref.Namespace, validation.IsDNS1123Label(ref.Namespace))...)
}
