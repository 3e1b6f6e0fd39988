package quota

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
)

// scopedResources says of each scope what can be bounded in it.
var scopedResources = func() map[corev1.ResourceQuotaScope][]corev1.ResourceName {
	pods := append([]corev1.ResourceName{corev1.ResourcePods}, resourcelist.Compute...)
	return map[corev1.ResourceQuotaScope][]corev1.ResourceName{
		corev1.ResourceQuotaScopeTerminating:               pods,
		corev1.ResourceQuotaScopeNotTerminating:            pods,
		corev1.ResourceQuotaScopeNotBestEffort:             pods,
		corev1.ResourceQuotaScopePriorityClass:             pods,
		corev1.ResourceQuotaScopeCrossNamespacePodAffinity: pods,
		corev1.ResourceQuotaScopeBestEffort:                {corev1.ResourcePods},
		corev1.ResourceQuotaScopeVolumeAttributesClass:     {corev1.ResourcePersistentVolumeClaims, corev1.ResourceRequestsStorage},
	}
}()

// plainScopes have no values.
var plainScopes = []corev1.ResourceQuotaScope{
	corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort,
	corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeCrossNamespacePodAffinity,
}
