package registry

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The resources that quotas and limit ranges speak of, as Kubernetes has them in
// pkg/apis/core/helper.

// countedResources are counted in whole objects.
var countedResources = nameSet(corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices,
	corev1.ResourceReplicationControllers, corev1.ResourceSecrets, corev1.ResourceConfigMaps,
	corev1.ResourcePersistentVolumeClaims, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers)

// computeResources are what pods take, and what of it is asked for and allowed.
var computeResources = []corev1.ResourceName{
	corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory,
	corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory,
}

var measuredResources = nameSet(slices.Concat(computeResources, []corev1.ResourceName{
	corev1.ResourceEphemeralStorage, corev1.ResourceRequestsEphemeralStorage, corev1.ResourceLimitsEphemeralStorage, corev1.ResourceRequestsStorage,
})...)

// scopedResources says of each scope what can be bounded in it.
var scopedResources = func() map[corev1.ResourceQuotaScope][]corev1.ResourceName {
	pods := append([]corev1.ResourceName{corev1.ResourcePods}, computeResources...)
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

func nameSet(names ...corev1.ResourceName) map[corev1.ResourceName]bool {
	set := map[corev1.ResourceName]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

func hugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// quotaResource tells whether a quota may bound a resource without a domain.
func quotaResource(name corev1.ResourceName) bool {
	return countedResources[name] || measuredResources[name] || hugePages(name) ||
		strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

// nativeResource tells whether a resource is Kubernetes' own.
func nativeResource(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
}

// extendedResource tells whether a resource is somebody's own: "example.com/gpu".
func extendedResource(name corev1.ResourceName) bool {
	if nativeResource(name) || strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix) {
		return false
	}
	return len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+string(name))) == 0
}

// qualifiedResource checks a name of anything that can be counted.
func qualifiedResource(name corev1.ResourceName, path *field.Path) field.ErrorList {
	if errs := invalid(path, name, validation.IsQualifiedName(string(name))); len(errs) > 0 {
		return errs
	}
	if !strings.Contains(string(name), "/") && !quotaResource(name) && name != corev1.ResourceStorage {
		return field.ErrorList{field.Invalid(path, name, "must be a standard resource type or fully qualified")}
	}
	return nil
}

// containerResource checks a name of what containers take.
func containerResource(name corev1.ResourceName, path *field.Path) field.ErrorList {
	errs := qualifiedResource(name, path)
	switch {
	case !strings.Contains(string(name), "/"):
		if name != corev1.ResourceCPU && name != corev1.ResourceMemory && name != corev1.ResourceEphemeralStorage && !hugePages(name) {
			errs = append(errs, field.Invalid(path, name, "must be a standard resource for containers"))
		}
	case !nativeResource(name) && !extendedResource(name):
		errs = append(errs, field.Invalid(path, name, "doesn't follow extended resource name standard"))
	}
	return errs
}
