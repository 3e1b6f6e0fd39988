package registry

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
)

func nodeKind() *Kind {
	gvk := corev1.SchemeGroupVersion.WithKind("Node")
	return &Kind{
		GVK: gvk, Resource: "nodes", Singular: "node", ShortNames: []string{"no"},
		Type:    "k8s.io.api.core.v1.Node",
		New:     func() Object { return &corev1.Node{} },
		NewList: func() runtime.Object { return &corev1.NodeList{} },

		Default: mutate(defaultNode),
		// A node registers itself together with its status, so that stays.
		PrepareCreate: create(func(obj *corev1.Node) { noGeneration(obj) }),
		PrepareUpdate: update(func(obj, old *corev1.Node) {
			keepGeneration(obj, old)
			obj.Status = old.Status
		}),
		PrepareStatusUpdate: update(func(obj, old *corev1.Node) {
			keepGeneration(obj, old)
			obj.Spec = old.Spec
		}),

		Validate:             check(validateNode),
		ValidateUpdate:       checkUpdate(validateNodeUpdate),
		ValidateStatusUpdate: checkUpdate(validateNodeStatusUpdate),

		Fields: func(obj Object) fields.Set {
			return fields.Set{"spec.unschedulable": strconv.FormatBool(obj.(*corev1.Node).Spec.Unschedulable)}
		},
		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns:            nodeColumns(),
		Subresources:       []Subresource{statusSubresource(gvk)},
	}
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
