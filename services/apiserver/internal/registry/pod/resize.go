package pod

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// resizeSubresource gives containers other cpu and memory while they run.
func resizeSubresource() registry.Subresource {
	return registry.Subresource{
		Name: "resize", Verbs: []string{"get", "patch", "update"},
		PrepareUpdate: func(obj, old registry.Object) {
			prepareResize(obj.(*corev1.Pod), old.(*corev1.Pod))
		},
		ValidateUpdate: func(obj, old registry.Object) field.ErrorList {
			return validateResize(obj.(*corev1.Pod), old.(*corev1.Pod))
		},
	}
}

// prepareResize keeps all but the containers' resources and what is said of their
// resizing as it was. Other containers than before are left for validation to see.
func prepareResize(obj, old *corev1.Pod) {
	if len(obj.Spec.Containers) == len(old.Spec.Containers) && len(obj.Spec.InitContainers) == len(old.Spec.InitContainers) {
		before := old.DeepCopy()
		before.Spec.Containers = resized(before.Spec.Containers, obj.Spec.Containers)
		before.Spec.InitContainers = resized(before.Spec.InitContainers, obj.Spec.InitContainers)
		obj.Spec, obj.Status = before.Spec, before.Status
		metav1.ResetObjectMetaForStatus(obj, before)
	}
	obj.Generation = old.Generation
	if !check.Equal(obj.Spec, old.Spec) {
		obj.Generation++
	}
}

// resized gives the containers the new sizes; where the names are others, there is
// no saying whose those are.
func resized(list, now []corev1.Container) []corev1.Container {
	if !slices.EqualFunc(list, now, func(a, b corev1.Container) bool { return a.Name == b.Name }) {
		return now
	}
	for i := range list {
		list[i].Resources, list[i].ResizePolicy = now[i].Resources, now[i].ResizePolicy
	}
	return list
}

// validateResize follows Kubernetes: cpu and memory alone may change, nothing that
// was set may be taken away, and the pod stays in its class.
func validateResize(obj, old *corev1.Pod) field.ErrorList {
	if _, mirror := old.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods cannot be resized")}
	}
	if old.Spec.OS != nil && old.Spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "windows pods cannot be resized")}
	}
	path := field.NewPath("spec")
	var errs field.ErrorList
	class := old.Status.QOSClass
	if class == "" {
		class = qos(&old.Spec)
	}
	if qos(&obj.Spec) != class {
		errs = append(errs, field.Invalid(path, obj.Status.QOSClass, "Pod QOS Class may not change as a result of resizing"))
	}
	if !tellsResources(&old.Status) {
		errs = append(errs, field.Forbidden(path, "Pod running on node without support for resize"))
	}
	if order := append(sameContainers(obj.Spec.Containers, old.Spec.Containers, "containers"),
		sameContainers(obj.Spec.InitContainers, old.Spec.InitContainers, "initContainers")...); len(order) > 0 {
		return append(errs, order...)
	}
	errs = append(errs, keptResources(obj.Spec.InitContainers, old.Spec.InitContainers, path.Child("initContainers"))...)
	errs = append(errs, keptResources(obj.Spec.Containers, old.Spec.Containers, path.Child("containers"))...)
	for i := range obj.Spec.Containers {
		if !onlySized(&obj.Spec.Containers[i], &old.Spec.Containers[i]) {
			errs = append(errs, field.Forbidden(path, "only cpu and memory resources are mutable"))
		}
	}
	for i := range obj.Spec.InitContainers {
		errs = append(errs, validateInitResize(&obj.Spec.InitContainers[i], &old.Spec.InitContainers[i], path.Child("initContainers").Index(i))...)
	}
	return errs
}

// tellsResources says whether the pod's node knows of resizes: then it tells what
// running containers have. Where none runs it is taken to.
func tellsResources(s *corev1.PodStatus) bool {
	for i := range s.ContainerStatuses {
		if c := &s.ContainerStatuses[i]; c.State.Running != nil {
			return c.Resources != nil
		}
	}
	return true
}

func sameContainers(list, old []corev1.Container, name string) field.ErrorList {
	path := field.NewPath("spec", name)
	if len(list) != len(old) {
		return field.ErrorList{field.Forbidden(path, name+" may not be added or removed on resize")}
	}
	var errs field.ErrorList
	for i := range old {
		if list[i].Name != old[i].Name {
			errs = append(errs, field.Forbidden(path.Index(i).Child("name"), name+" may not be renamed or reordered on resize"))
		}
	}
	return errs
}

func keptResources(list, old []corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range old {
		p := path.Index(i).Child("resources")
		if lacks(list[i].Resources.Requests, old[i].Resources.Requests) {
			errs = append(errs, field.Forbidden(p.Child("requests"), "resource requests cannot be removed"))
		}
		if lacks(list[i].Resources.Limits, old[i].Resources.Limits) {
			errs = append(errs, field.Forbidden(p.Child("limits"), "resource limits cannot be removed"))
		}
	}
	return errs
}

func lacks(list, old corev1.ResourceList) bool {
	for name := range old {
		if _, ok := list[name]; !ok {
			return true
		}
	}
	return false
}

// validateInitResize: an init container that ends by itself gets its size when it
// starts, so none can be restarted for it.
func validateInitResize(c, old *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if !onlySized(c, old) {
		errs = append(errs, field.Forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable"))
	}
	if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways || check.Equal(*c, *old) {
		return errs
	}
	for _, p := range c.ResizePolicy {
		if p.RestartPolicy == corev1.RestartContainer {
			errs = append(errs, field.Forbidden(path, "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"))
		}
	}
	return errs
}

// onlySized says that the containers differ in cpu and memory alone.
func onlySized(c, old *corev1.Container) bool {
	rest := *c
	rest.Resources = corev1.ResourceRequirements{
		Limits: withSizes(c.Resources.Limits, old.Resources.Limits), Requests: withSizes(c.Resources.Requests, old.Resources.Requests),
	}
	return check.Equal(rest, *old)
}

// withSizes is list with the cpu and memory of old.
func withSizes(list, old corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	maps.Copy(out, list)
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		delete(out, name)
		if q, ok := old[name]; ok {
			out[name] = q
		}
	}
	return out
}
