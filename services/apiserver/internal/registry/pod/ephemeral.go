package pod

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// ephemeralContainersSubresource adds containers to a pod that runs.
func ephemeralContainersSubresource() registry.Subresource {
	return registry.Subresource{
		Name: "ephemeralcontainers", Verbs: []string{"get", "patch", "update"},
		PrepareUpdate: func(obj, old registry.Object) {
			prepareEphemeral(obj.(*corev1.Pod), old.(*corev1.Pod))
		},
		ValidateUpdate: func(obj, old registry.Object) field.ErrorList {
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
