package podspec

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/container"
)

// PodWarnings are those about a pod.
func PodWarnings(obj *corev1.Pod) []string {
	var list []string
	if messages := validation.IsDNS1123Label(obj.Name); obj.Name != "" && len(messages) > 0 {
		list = append(list, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, "+
			"which can result in surprising behavior; a DNS label is recommended: %v", messages))
	}
	return append(list, Warnings(&obj.Spec, field.NewPath("spec"))...)
}

// Warnings are those about a pod's spec, wherever it is.
func Warnings(spec *corev1.PodSpec, path *field.Path) []string {
	var list []string
	for i := range spec.InitContainers {
		list = append(list, container.Warnings(&spec.InitContainers[i], path.Child("initContainers").Index(i))...)
	}
	for i := range spec.Containers {
		list = append(list, container.Warnings(&spec.Containers[i], path.Child("containers").Index(i))...)
	}
	if ptr.Deref(spec.TerminationGracePeriodSeconds, 0) < 0 {
		list = append(list, fmt.Sprintf("%s: must be >= 0; negative values are invalid and will be treated as 1",
			path.Child("terminationGracePeriodSeconds")))
	}
	return list
}
