package auth

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

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

// restrictedNode says what a node may not do to its own Node: pods are kept from
// it and led to it by taints and labels that it must not choose. was is nil for a
// new Node, which may bring taints.
func restrictedNode(was, now *corev1.Node) string {
	before := map[string]string{}
	if was != nil {
		before = was.Labels
		if !equality.Semantic.DeepEqual(was.Spec.Taints, now.Spec.Taints) {
			return "modify taints"
		}
	}
	changed := map[string]bool{}
	for _, labels := range []map[string]string{before, now.Labels} {
		for key := range labels {
			old, had := before[key]
			value, has := now.Labels[key]
			if (had != has || old != value) && reserved(key) {
				changed[key] = true
			}
		}
	}
	if len(changed) == 0 {
		return ""
	}
	verb := "modify labels: "
	if was == nil {
		verb = "set labels: "
	}
	return verb + strings.Join(slices.Sorted(maps.Keys(changed)), ", ")
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
