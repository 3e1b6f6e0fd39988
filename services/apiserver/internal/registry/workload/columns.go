package workload

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// ContainerColumns are the names and images of a pod template and a selector.
func ContainerColumns[T registry.Object](containers func(T) []corev1.Container, selector func(T) *metav1.LabelSelector) []registry.Column {
	return append(ImageColumns(containers), registry.Wide(registry.ColumnOf("Selector", "string", "Label selector.", func(obj T) any {
		return metav1.FormatLabelSelector(selector(obj))
	})))
}

// ImageColumns are the names and images of a pod template.
func ImageColumns[T registry.Object](containers func(T) []corev1.Container) []registry.Column {
	join := func(obj T, part func(corev1.Container) string) string {
		var parts []string
		for _, c := range containers(obj) {
			parts = append(parts, part(c))
		}
		return strings.Join(parts, ",")
	}
	return []registry.Column{
		registry.Wide(registry.ColumnOf("Containers", "string", "Names of each container in the template.", func(obj T) any {
			return join(obj, func(c corev1.Container) string { return c.Name })
		})),
		registry.Wide(registry.ColumnOf("Images", "string", "Images referenced by each container in the template.", func(obj T) any {
			return join(obj, func(c corev1.Container) string { return c.Image })
		})),
	}
}
