package volume

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/container"
)

// downwardFieldPaths are the fields of a pod that a file may hold.
var downwardFieldPaths = []string{
	"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
}

// validateProjected checks a volume with files of several sources. Sources that
// nothing honours yet are refused by the list of fields.
func validateProjected(v *corev1.ProjectedVolumeSource, path *field.Path) field.ErrorList {
	errs := validateMode(v.DefaultMode, path.Child("defaultMode"))
	for i := range v.Sources {
		errs = append(errs, validateProjectedSource(&v.Sources[i], path.Child("sources").Index(i))...)
		if token := v.Sources[i].ServiceAccountToken; token != nil {
			errs = append(errs, validateFilePath(token.Path, path.Child("path"))...) // That is where Kubernetes says it is.
		}
	}
	return errs
}

func validateToken(token *corev1.ServiceAccountTokenProjection, path *field.Path) field.ErrorList {
	seconds := token.ExpirationSeconds
	switch {
	case seconds == nil:
	case *seconds < 10*60:
		return field.ErrorList{field.Invalid(path.Child("expirationSeconds"), *seconds, "may not specify a duration less than 10 minutes")}
	case *seconds > 1<<32:
		return field.ErrorList{field.Invalid(path.Child("expirationSeconds"), *seconds, "may not specify a duration larger than 2^32 seconds")}
	}
	return nil
}

func validateProjectedSource(s *corev1.VolumeProjection, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	given := 0
	one := func(name string, there bool) bool {
		if !there {
			return false
		}
		if given++; given == 2 {
			errs = append(errs, field.Forbidden(path.Child(name), "may not specify more than 1 volume type"))
		}
		return true
	}
	if one("secret", s.Secret != nil) {
		errs = append(errs, validateProjection(s.Secret.Name, "name", nil, s.Secret.Items, path.Child("secret"))...)
	}
	if one("configMap", s.ConfigMap != nil) {
		errs = append(errs, validateProjection(s.ConfigMap.Name, "name", nil, s.ConfigMap.Items, path.Child("configMap"))...)
	}
	if one("downwardAPI", s.DownwardAPI != nil) {
		errs = append(errs, validateDownward(s.DownwardAPI.Items, path.Child("downwardAPI", "items"))...)
	}
	if one("serviceAccountToken", s.ServiceAccountToken != nil) {
		errs = append(errs, validateToken(s.ServiceAccountToken, path.Child("serviceAccountToken"))...)
	}
	if given == 0 && *s == (corev1.VolumeProjection{}) {
		errs = append(errs, field.Required(path, "must specify a volume type"))
	}
	return errs
}

func validateDownward(items []corev1.DownwardAPIVolumeFile, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, item := range items {
		p := path.Index(i)
		errs = append(errs, validateFilePath(item.Path, p.Child("path"))...)
		switch {
		case item.FieldRef != nil:
			errs = append(errs, container.ValidateFieldRef(item.FieldRef, downwardFieldPaths, p.Child("fieldRef"))...)
			if item.ResourceFieldRef != nil {
				errs = append(errs, field.Invalid(p, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
			}
		case item.ResourceFieldRef != nil:
			if item.ResourceFieldRef.ContainerName == "" {
				errs = append(errs, field.Required(p.Child("resourceFieldRef", "containerName"), ""))
			}
			errs = append(errs, container.ValidateResourceFieldRef(item.ResourceFieldRef, p.Child("resourceFieldRef"))...)
		default:
			errs = append(errs, field.Required(p, "one of fieldRef and resourceFieldRef is required"))
		}
		errs = append(errs, validateMode(item.Mode, p.Child("mode"))...)
	}
	return errs
}
