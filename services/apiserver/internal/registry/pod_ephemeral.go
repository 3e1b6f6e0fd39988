package registry

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ephemeralContainersSubresource adds containers to a pod that runs.
func ephemeralContainersSubresource() Subresource {
	return Subresource{
		Name: "ephemeralcontainers", Verbs: []string{"get", "patch", "update"},
		PrepareUpdate: func(obj, old Object) {
			prepareEphemeral(obj.(*corev1.Pod), old.(*corev1.Pod))
		},
		ValidateUpdate: func(obj, old Object) field.ErrorList {
			return validateEphemeralUpdate(obj.(*corev1.Pod), old.(*corev1.Pod))
		},
	}
}

// prepareEphemeral keeps all but the ephemeral containers as it was.
func prepareEphemeral(obj, old *corev1.Pod) {
	added := obj.Spec.EphemeralContainers
	before := old.DeepCopy()
	obj.Spec, obj.Status = before.Spec, before.Status
	obj.Spec.EphemeralContainers = added
	obj.Labels, obj.Annotations = before.Labels, before.Annotations
	obj.Finalizers, obj.OwnerReferences = before.Finalizers, before.OwnerReferences
	if !apiequality.Semantic.DeepEqual(obj.Spec, old.Spec) {
		obj.Generation = old.Generation + 1
	}
}

// validateEphemeralUpdate: what was added stays as it is.
func validateEphemeralUpdate(obj, old *corev1.Pod) field.ErrorList {
	now := map[string]*corev1.EphemeralContainer{}
	for i := range obj.Spec.EphemeralContainers {
		now[obj.Spec.EphemeralContainers[i].Name] = &obj.Spec.EphemeralContainers[i]
	}
	var errs field.ErrorList
	path := field.NewPath("spec", "ephemeralContainers")
	for i := range old.Spec.EphemeralContainers {
		was := &old.Spec.EphemeralContainers[i]
		c, ok := now[was.Name]
		switch {
		case !ok:
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be removed\n", was.Name)))
		case !apiequality.Semantic.DeepEqual(*was, *c):
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be changed\n%v", was.Name, diff.Diff(*was, *c))))
		}
	}
	return errs
}

// noEphemeral refuses ephemeral containers where they cannot be.
func noEphemeral(spec *corev1.PodSpec, path *field.Path, why string) field.ErrorList {
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
		errs = append(errs, unsupported(c, ephemeralFields, p)...)
		errs = append(errs, validateContainer(c, names, volumes, p)...)
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
