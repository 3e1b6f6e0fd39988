// Package volume says what the volumes of pods and persistent volumes may be
// made of.
package volume

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

const fileModeError = "must be a number between 0 and 0777 (octal), both inclusive"

// Validate returns the names that mounts may use too.
func Validate(list []corev1.Volume, path *field.Path) (map[string]bool, field.ErrorList) {
	var errs field.ErrorList
	names := map[string]bool{}
	for i := range list {
		v, p := &list[i], path.Index(i)
		errs = append(errs, check.UniqueLabel(v.Name, names, p.Child("name"))...)
		errs = append(errs, validateOne(v, p)...)
	}
	return names, errs
}

func validateOne(v *corev1.Volume, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	sources := reflect.ValueOf(v.VolumeSource)
	given := 0
	for i := range sources.NumField() {
		if sources.Field(i).IsNil() {
			continue
		}
		if given++; given == 2 {
			name, _, _ := strings.Cut(sources.Type().Field(i).Tag.Get("json"), ",")
			errs = append(errs, field.Forbidden(path.Child(name), "may not specify more than 1 volume type"))
		}
	}
	if given == 0 {
		errs = append(errs, field.Required(path, "must specify a volume type"))
	}
	if v.EmptyDir != nil {
		errs = append(errs, validateEmptyDir(v.EmptyDir, path.Child("emptyDir"))...)
	}
	if v.HostPath != nil {
		errs = append(errs, validateHostPath(v.HostPath, path.Child("hostPath"))...)
	}
	if c := v.PersistentVolumeClaim; c != nil && c.ClaimName == "" {
		errs = append(errs, field.Required(path.Child("persistentVolumeClaim", "claimName"), ""))
	}
	if v.ConfigMap != nil {
		errs = append(errs, validateProjection(v.ConfigMap.Name, "name", v.ConfigMap.DefaultMode, v.ConfigMap.Items, path.Child("configMap"))...)
	}
	if v.DownwardAPI != nil {
		p := path.Child("downwardAPI")
		errs = append(errs, validateMode(v.DownwardAPI.DefaultMode, p.Child("defaultMode"))...)
		errs = append(errs, validateDownward(v.DownwardAPI.Items, p.Child("items"))...)
	}
	if v.Projected != nil {
		errs = append(errs, validateProjected(v.Projected, path.Child("projected"))...)
	}
	if v.Secret != nil {
		errs = append(errs, validateProjection(v.Secret.SecretName, "secretName", v.Secret.DefaultMode, v.Secret.Items, path.Child("secret"))...)
	}
	return errs
}

// validateEmptyDir takes a bound only where the kernel keeps it: a directory on
// the node's disk has none.
func validateEmptyDir(e *corev1.EmptyDirVolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if e.Medium != corev1.StorageMediumDefault && e.Medium != corev1.StorageMediumMemory {
		errs = append(errs, field.Forbidden(path.Child("medium"), support.NotSupported))
	}
	switch {
	case e.SizeLimit == nil:
	case e.SizeLimit.Sign() < 0:
		errs = append(errs, field.Forbidden(path.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity"))
	case e.Medium != corev1.StorageMediumMemory && e.SizeLimit.Sign() > 0:
		errs = append(errs, field.Forbidden(path.Child("sizeLimit"), support.NotSupported+", but for medium Memory"))
	}
	return errs
}

func validateHostPath(h *corev1.HostPathVolumeSource, path *field.Path) field.ErrorList {
	if h.Path == "" {
		return field.ErrorList{field.Required(path.Child("path"), "")}
	}
	errs := check.NoBacksteps(h.Path, path.Child("path"))
	if h.Type == nil || *h.Type == corev1.HostPathUnset {
		return errs
	}
	return append(errs, check.OneOf(path.Child("type"), *h.Type,
		corev1.HostPathBlockDev, corev1.HostPathCharDev, corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate,
		corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket)...)
}

// validateProjection checks a volume made of a config map's or a secret's keys.
func validateProjection(name, nameField string, mode *int32, items []corev1.KeyToPath, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(path.Child(nameField), ""))
	}
	errs = append(errs, validateMode(mode, path.Child("defaultMode"))...)
	for i, item := range items {
		p := path.Child("items").Index(i)
		if item.Key == "" {
			errs = append(errs, field.Required(p.Child("key"), ""))
		}
		errs = append(errs, validateMode(item.Mode, p.Child("mode"))...)
		errs = append(errs, validateFilePath(item.Path, p.Child("path"))...)
	}
	return errs
}

// validateFilePath checks where in a volume a file is to be.
func validateFilePath(name string, path *field.Path) field.ErrorList {
	switch {
	case name == "":
		return field.ErrorList{field.Required(path, "")}
	case strings.HasPrefix(name, "/"):
		return field.ErrorList{field.Invalid(path, name, "must be a relative path")}
	}
	errs := check.NoBacksteps(name, path)
	if strings.HasPrefix(name, "..") && !strings.HasPrefix(name, "../") {
		errs = append(errs, field.Invalid(path, name, "must not start with '..'"))
	}
	return errs
}

func validateMode(mode *int32, path *field.Path) field.ErrorList {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		return field.ErrorList{field.Invalid(path, *mode, fileModeError)}
	}
	return nil
}
