// Package node has the kinds that say what pods run on: nodes, and the classes
// of their runtimes.
package node

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Node defines nodes.
func Node() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.NodeList{}, registry.Definition[*corev1.Node]{
		ShortNames: []string{"no"},
		// A node registers itself together with its status.
		Status: true, StatusAtCreate: true,

		Default:              defaultNode,
		Validate:             validateNode,
		ValidateUpdate:       validateNodeUpdate,
		ValidateStatusUpdate: validateNodeStatusUpdate,

		Fields: func(obj *corev1.Node) fields.Set {
			return fields.Set{"spec.unschedulable": strconv.FormatBool(obj.Spec.Unschedulable)}
		},
		Columns:      nodeColumns(),
		Subresources: []registry.Subresource{registry.Proxied("NodeProxyOptions")},
	})
}

func defaultNode(obj *corev1.Node) {
	if obj.Status.Allocatable == nil && obj.Status.Capacity != nil {
		obj.Status.Allocatable = obj.Status.Capacity.DeepCopy()
	}
	// podCIDR is the first of podCIDRs; who writes one means both.
	switch {
	case obj.Spec.PodCIDR == "" && len(obj.Spec.PodCIDRs) > 0:
		obj.Spec.PodCIDR = obj.Spec.PodCIDRs[0]
	case obj.Spec.PodCIDR != "" && len(obj.Spec.PodCIDRs) == 0:
		obj.Spec.PodCIDRs = []string{obj.Spec.PodCIDR}
	}
}
