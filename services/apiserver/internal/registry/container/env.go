package container

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// envFieldPaths are the fields of a pod that a variable may hold.
var envFieldPaths = []string{
	"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
	"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
}

// envResources are a container's resources that a variable may hold, with the
// units they may be given in.
var envResources = map[string][]string{
	"limits.cpu": cpuDivisors, "requests.cpu": cpuDivisors,
	"limits.memory": memoryDivisors, "requests.memory": memoryDivisors,
}

var (
	cpuDivisors    = []string{"1m", "1"}
	memoryDivisors = []string{"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}
)

func validateEnv(env []corev1.EnvVar, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, e := range env {
		p := path.Index(i)
		if e.Name == "" {
			errs = append(errs, field.Required(p.Child("name"), ""))
		} else {
			errs = append(errs, check.Invalid(p.Child("name"), e.Name, validation.IsRelaxedEnvVarName(e.Name))...)
		}
		errs = append(errs, validateEnvSource(e, p.Child("valueFrom"))...)
	}
	return errs
}

func validateEnvSource(e corev1.EnvVar, path *field.Path) field.ErrorList {
	from := e.ValueFrom
	if from == nil {
		return nil
	}
	var errs field.ErrorList
	sources := 0
	if from.FieldRef != nil {
		sources++
		errs = append(errs, ValidateFieldRef(from.FieldRef, envFieldPaths, path.Child("fieldRef"))...)
	}
	if from.ResourceFieldRef != nil {
		sources++
		errs = append(errs, ValidateResourceFieldRef(from.ResourceFieldRef, path.Child("resourceFieldRef"))...)
	}
	if from.ConfigMapKeyRef != nil {
		sources++
		errs = append(errs, validateKeyRef(from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key, path.Child("configMapKeyRef"))...)
	}
	if from.SecretKeyRef != nil {
		sources++
		errs = append(errs, validateKeyRef(from.SecretKeyRef.Name, from.SecretKeyRef.Key, path.Child("secretKeyRef"))...)
	}
	if from.FileKeyRef != nil {
		sources++
	}
	switch {
	case sources == 0:
		errs = append(errs, field.Invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"))
	case e.Value != "":
		errs = append(errs, field.Invalid(path, "", "may not be specified when `value` is not empty"))
	case sources > 1:
		errs = append(errs, field.Invalid(path, "", "may not have more than one field specified at a time"))
	}
	return errs
}

// ValidateFieldRef checks a reference to one of the allowed fields of the pod, or to
// a label or annotation.
func ValidateFieldRef(ref *corev1.ObjectFieldSelector, allowed []string, path *field.Path) field.ErrorList {
	p := path.Child("fieldPath")
	if ref.APIVersion == "" {
		return field.ErrorList{field.Required(path.Child("apiVersion"), "")}
	}
	if ref.FieldPath == "" {
		return field.ErrorList{field.Required(p, "")}
	}
	name, subscript, ok := strings.Cut(strings.TrimSuffix(ref.FieldPath, "']"), "['")
	if ok && strings.HasSuffix(ref.FieldPath, "']") {
		switch name {
		case "metadata.annotations":
			return check.Invalid(p, ref.FieldPath, validation.IsQualifiedName(strings.ToLower(subscript)))
		case "metadata.labels":
			return check.Invalid(p, ref.FieldPath, validation.IsQualifiedName(subscript))
		}
		return field.ErrorList{field.Invalid(p, ref.FieldPath, fmt.Sprintf("%s does not support subscript", name))}
	}
	if slices.Contains(allowed, ref.FieldPath) {
		return nil
	}
	others := []string{"metadata.labels", "metadata.annotations", "spec.restartPolicy", "spec.schedulerName", "status.phase"}
	if slices.Contains(others, ref.FieldPath) || slices.Contains(envFieldPaths, ref.FieldPath) {
		return field.ErrorList{field.NotSupported(p, ref.FieldPath, allowed)}
	}
	return field.ErrorList{field.Invalid(p, ref.FieldPath, fmt.Sprintf("error converting fieldPath: field label not supported: %s", ref.FieldPath))}
}

// ValidateResourceFieldRef checks a reference to a container's resources.
func ValidateResourceFieldRef(ref *corev1.ResourceFieldSelector, path *field.Path) field.ErrorList {
	resource := path.Child("resource")
	if ref.Resource == "" {
		return field.ErrorList{field.Required(resource, "")}
	}
	divisors, ok := envResources[ref.Resource]
	if !ok {
		return field.ErrorList{field.NotSupported(resource, ref.Resource,
			[]string{"limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})}
	}
	if ref.Divisor.IsZero() || slices.Contains(divisors, ref.Divisor.String()) {
		return nil
	}
	_, name, _ := strings.Cut(ref.Resource, ".")
	words := strings.Join(divisors, ", ")
	if name == "cpu" {
		words = "1m and 1"
	}
	return field.ErrorList{field.Invalid(path.Child("divisor"), ref.Divisor.String(),
		fmt.Sprintf("only divisor's values %s are supported with the %s resource", words, name))}
}

func validateKeyRef(name, key string, path *field.Path) field.ErrorList {
	errs := check.Invalid(path.Child("name"), name, apivalidation.NameIsDNSSubdomain(name, false))
	if key == "" {
		return append(errs, field.Required(path.Child("key"), ""))
	}
	return append(errs, check.Invalid(path.Child("key"), key, validation.IsConfigMapKey(key))...)
}

func validateEnvFrom(list []corev1.EnvFromSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, from := range list {
		p := path.Index(i)
		if from.Prefix != "" {
			errs = append(errs, check.Invalid(p.Child("prefix"), from.Prefix, validation.IsRelaxedEnvVarName(from.Prefix))...)
		}
		sources := 0
		if from.ConfigMapRef != nil {
			sources++
			errs = append(errs, check.Invalid(p.Child("configMapRef", "name"), from.ConfigMapRef.Name, apivalidation.NameIsDNSSubdomain(from.ConfigMapRef.Name, false))...)
		}
		if from.SecretRef != nil {
			sources++
			errs = append(errs, check.Invalid(p.Child("secretRef", "name"), from.SecretRef.Name, apivalidation.NameIsDNSSubdomain(from.SecretRef.Name, false))...)
		}
		switch {
		case sources == 0:
			errs = append(errs, field.Invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
		case sources > 1:
			errs = append(errs, field.Invalid(path, "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}
