package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodePodStatus allows a node to report on its pods, and to change nothing by the way
// that others select pods by.
func nodePodStatus(node string, own bool, old, obj *corev1.Pod) string {
	if !own {
		return fmt.Sprintf("node %q can only update pod status for pods with spec.nodeName set to itself", node)
	}
	if obj == nil {
		return ""
	}
	if !maps.Equal(old.Labels, obj.Labels) {
		return fmt.Sprintf("node %q cannot update labels through pod status", node)
	}
	if !equality.Semantic.DeepEqual(old.Status.ResourceClaimStatuses, obj.Status.ResourceClaimStatuses) {
		return fmt.Sprintf("node %q cannot update resource claim statues", node)
	}
	return ""
}

// restrictedClaim allows a node to report the size and the conditions of a claim.
func restrictedClaim(r Request, node string, old, obj metav1.Object) string {
	if r.Subresource != "status" {
		return "may only update PVC status"
	}
	was, _ := old.(*corev1.PersistentVolumeClaim)
	now, _ := obj.(*corev1.PersistentVolumeClaim)
	if was == nil || now == nil {
		return ""
	}
	was, now = was.DeepCopy(), now.DeepCopy()
	for _, claim := range []*corev1.PersistentVolumeClaim{was, now} {
		claim.ResourceVersion, claim.ManagedFields = "", nil
		claim.Status.Capacity, claim.Status.Conditions = nil, nil
		claim.Status.AllocatedResources, claim.Status.AllocatedResourceStatuses = nil, nil
	}
	if !equality.Semantic.DeepEqual(was, now) {
		return fmt.Sprintf("node %q is not allowed to update fields other than status.capacity and status.conditions", node)
	}
	return ""
}

// ownLabels are the labels of Kubernetes' own domains that a node may give
// itself, ownDomains the domains of which it may give itself any.
var (
	ownLabels = []string{
		corev1.LabelHostname, corev1.LabelOSStable, corev1.LabelArchStable,
		corev1.LabelTopologyZone, corev1.LabelTopologyRegion,
		corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
		corev1.LabelInstanceType, corev1.LabelInstanceTypeStable, "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
	}
	ownDomains = []string{corev1.LabelNamespaceSuffixKubelet, corev1.LabelNamespaceSuffixNode}
)

// restrictedNode says what a node may not do to a Node: pods are kept from it and led
// to it by taints and labels that it must not choose. was is nil for a new Node, which
// may bring taints; now is nil for a deletion.
func restrictedNode(node, name string, was, now *corev1.Node) string {
	if name == "" && now != nil {
		name = now.Name
	}
	if name != node {
		return fmt.Sprintf("node %q is not allowed to modify node %q", node, name)
	}
	if now == nil {
		return ""
	}
	if was == nil {
		if labels := reservedChanges(nil, now.Labels); len(labels) > 0 {
			return fmt.Sprintf("node %q is not allowed to set the following labels: %s", node, strings.Join(labels, ", "))
		}
		return ""
	}
	if !equality.Semantic.DeepEqual(was.Spec.Taints, now.Spec.Taints) {
		return fmt.Sprintf("node %q is not allowed to modify taints", node)
	}
	if labels := reservedChanges(was.Labels, now.Labels); len(labels) > 0 {
		return "is not allowed to modify labels: " + strings.Join(labels, ", ")
	}
	return ""
}

// reservedChanges returns the reserved labels that differ, in order.
func reservedChanges(was, now map[string]string) []string {
	changed := map[string]bool{}
	for _, labels := range []map[string]string{was, now} {
		for key := range labels {
			old, had := was[key]
			value, has := now[key]
			if (had != has || old != value) && reserved(key) {
				changed[key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(changed))
}

// reserved tells whether a label is in a domain of Kubernetes and none of a node's.
func reserved(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	in := func(parent string) bool { return domain == parent || strings.HasSuffix(domain, "."+parent) }
	if !ok || !(in("kubernetes.io") || in("k8s.io")) {
		return false
	}
	return !slices.Contains(ownLabels, key) && !slices.ContainsFunc(ownDomains, in)
}
