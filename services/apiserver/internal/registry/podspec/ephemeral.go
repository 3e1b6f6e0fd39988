package podspec

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/container"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// NoEphemeral refuses ephemeral containers where they cannot be.
func NoEphemeral(spec *corev1.PodSpec, path *field.Path, why string) field.ErrorList {
	if len(spec.EphemeralContainers) == 0 {
		return nil
	}
	return field.ErrorList{field.Forbidden(path.Child("ephemeralContainers"), why)}
}

const notEphemeral = "cannot be set for an Ephemeral Container"

// validateEphemeral checks the ephemeral containers of a pod. names are those of
// its other containers, and grow.
func validateEphemeral(spec *corev1.PodSpec, names, volumes map[string]bool, path *field.Path) field.ErrorList {
	others := make(map[string]bool, len(names))
	for name := range names {
		others[name] = true
	}
	var errs field.ErrorList
	for i := range spec.EphemeralContainers {
		e := &spec.EphemeralContainers[i]
		p := path.Index(i)
		c := (*corev1.Container)(&e.EphemeralContainerCommon)
		errs = append(errs, support.Check(c, ephemeralFields, p)...)
		errs = append(errs, container.Validate(c, names, volumes, p)...)
		if e.TargetContainerName != "" && !others[e.TargetContainerName] {
			errs = append(errs, field.NotFound(p.Child("targetContainerName"), e.TargetContainerName))
		}
		errs = append(errs, lasting(c, p)...)
	}
	return errs
}

// lasting refuses what only makes sense for a container that is part of the pod's
// work.
func lasting(c *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"ports", len(c.Ports) > 0},
		{"resources", len(c.Resources.Limits) > 0 || len(c.Resources.Requests) > 0 || len(c.Resources.Claims) > 0},
		{"resizePolicy", len(c.ResizePolicy) > 0},
		{"restartPolicy", c.RestartPolicy != nil},
		{"livenessProbe", c.LivenessProbe != nil},
		{"readinessProbe", c.ReadinessProbe != nil},
		{"startupProbe", c.StartupProbe != nil},
		{"lifecycle", c.Lifecycle != nil},
	} {
		if f.set {
			errs = append(errs, field.Forbidden(path.Child(f.name), notEphemeral))
		}
	}
	for i, m := range c.VolumeMounts {
		p := path.Child("volumeMounts").Index(i)
		if m.SubPath != "" {
			errs = append(errs, field.Forbidden(p.Child("subPath"), notEphemeral))
		}
		if m.SubPathExpr != "" {
			errs = append(errs, field.Forbidden(p.Child("subPathExpr"), notEphemeral))
		}
	}
	return errs
}

// ephemeralFields are those of an ephemeral container. What none may have is
// refused beside it, in Kubernetes' words.
var ephemeralFields = support.Fields(slices.Concat(container.Fields, []string{"restartPolicy", "lifecycle.preStop", "lifecycle.postStart", "resizePolicy"})...)
