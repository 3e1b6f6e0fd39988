package quota

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	resourcehelper "k8s.io/component-helpers/resource"
	volumehelper "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
)

type resourceQuantity = resource.Quantity

// What objects use by more than their number, by resource.
var evaluators = map[string]func(runtime.Object) corev1.ResourceList{
	"pods":                   func(obj runtime.Object) corev1.ResourceList { return podUsage(obj.(*corev1.Pod)) },
	"services":               func(obj runtime.Object) corev1.ResourceList { return serviceUsage(obj.(*corev1.Service)) },
	"persistentvolumeclaims": func(obj runtime.Object) corev1.ResourceList { return claimUsage(obj.(*corev1.PersistentVolumeClaim)) },
}

// older are the resources that had names for their number before "count/" was there.
var older = []string{
	"services", "persistentvolumeclaims", "configmaps", "secrets", "replicationcontrollers", "resourcequotas",
}

// Names of numbers, and of storage by its class.
const (
	countPrefix   = "count/"
	storageSuffix = ".storageclass.storage.k8s.io/"
)

// Usage returns all that an object uses.
func Usage(resource string, obj runtime.Object) corev1.ResourceList {
	used := numbers(resource, 1)
	if evaluate := evaluators[resource]; evaluate != nil {
		for name, value := range evaluate(obj) {
			used[name] = value
		}
	}
	return used
}

// numbers is what n objects are counted as, whatever they are.
func numbers(of string, n int64) corev1.ResourceList {
	used := corev1.ResourceList{corev1.ResourceName(countPrefix + of): *resource.NewQuantity(n, resource.DecimalSI)}
	if slices.Contains(older, of) {
		used[corev1.ResourceName(of)] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	return used
}

// counted returns the resources whose objects use any of what is limited, in order.
func counted(hard corev1.ResourceList) []string {
	var of []string
	for name := range hard {
		of = append(of, countedFor(string(name)))
	}
	slices.Sort(of)
	return slices.Compact(of)
}

func countedFor(name string) string {
	of, number := strings.CutPrefix(name, countPrefix)
	switch {
	case number, slices.Contains(older, name):
		return of
	case strings.HasPrefix(name, "services."):
		return "services"
	case name == string(corev1.ResourceRequestsStorage), strings.Contains(name, storageSuffix):
		return "persistentvolumeclaims"
	}
	return "pods"
}

// podUsage counts what a pod asks for until it has ended; while it is being resized,
// what it was granted or has where that is more. Kubernetes also stops
// counting one that is overdue to end; here only what is known to have ended does
// not count.
func podUsage(pod *corev1.Pod) corev1.ResourceList {
	if ended(pod) {
		return nil
	}
	options := resourcehelper.PodResourcesOptions{UseStatusResources: resizing(pod)}
	return computeUsage(resourcehelper.PodRequests(pod, options), resourcehelper.PodLimits(pod, options))
}

// resizing tells whether the pod was granted, or has, anything but what it asks for.
func resizing(pod *corev1.Pod) bool {
	return otherSizes(pod.Spec.Containers, pod.Status.ContainerStatuses) || otherSizes(pod.Spec.InitContainers, pod.Status.InitContainerStatuses)
}

func otherSizes(list []corev1.Container, statuses []corev1.ContainerStatus) bool {
	for i := range list {
		for j := range statuses {
			if statuses[j].Name == list[i].Name && otherSize(&list[i].Resources, &statuses[j]) {
				return true
			}
		}
	}
	return false
}

func otherSize(asked *corev1.ResourceRequirements, s *corev1.ContainerStatus) bool {
	return s.AllocatedResources != nil && !sameList(s.AllocatedResources, asked.Requests) ||
		s.Resources != nil && !(sameList(s.Resources.Requests, asked.Requests) && sameList(s.Resources.Limits, asked.Limits))
}

func sameList(a, b corev1.ResourceList) bool {
	return maps.EqualFunc(a, b, func(x, y resource.Quantity) bool { return x.Cmp(y) == 0 })
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// plain are the resources that are counted under their own name too.
var plain = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage}

func computeUsage(requests, limits corev1.ResourceList) corev1.ResourceList {
	used := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(1, resource.DecimalSI)}
	for name, value := range requests {
		switch {
		case slices.Contains(plain, name), strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
			used[name] = value
			used[corev1.DefaultResourceRequestsPrefix+name] = value
		case extended(name):
			used[corev1.DefaultResourceRequestsPrefix+name] = value
		}
	}
	for name, value := range limits {
		if slices.Contains(plain, name) {
			used["limits."+name] = value
		}
	}
	return used
}

// extended tells whether the resource is none of Kubernetes' own.
func extended(name corev1.ResourceName) bool {
	s := string(name)
	return strings.Contains(s, "/") && !strings.Contains(s, "kubernetes.io/") && !strings.HasPrefix(s, corev1.DefaultResourceRequestsPrefix)
}

// serviceUsage counts the node ports that a service means to have.
func serviceUsage(service *corev1.Service) corev1.ResourceList {
	var ports, balancers int64
	switch service.Spec.Type {
	case corev1.ServiceTypeNodePort:
		ports = int64(len(service.Spec.Ports))
	case corev1.ServiceTypeLoadBalancer:
		balancers = 1
		for _, p := range service.Spec.Ports {
			if p.NodePort != 0 || ptr.Deref(service.Spec.AllocateLoadBalancerNodePorts, true) {
				ports++
			}
		}
	}
	return corev1.ResourceList{
		corev1.ResourceServicesNodePorts:     *resource.NewQuantity(ports, resource.DecimalSI),
		corev1.ResourceServicesLoadBalancers: *resource.NewQuantity(balancers, resource.DecimalSI),
	}
}

// claimUsage counts the storage of a claim, for its class too.
func claimUsage(claim *corev1.PersistentVolumeClaim) corev1.ResourceList {
	used := corev1.ResourceList{}
	class := volumehelper.GetPersistentVolumeClaimClass(claim)
	add := func(name corev1.ResourceName, value resource.Quantity) {
		used[name] = value
		if class != "" {
			used[corev1.ResourceName(class+storageSuffix)+name] = value
		}
	}
	add(corev1.ResourcePersistentVolumeClaims, *resource.NewQuantity(1, resource.DecimalSI))
	storage, ok := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return used
	}
	if allocated, ok := claim.Status.AllocatedResources[corev1.ResourceStorage]; ok && allocated.Cmp(storage) > 0 {
		storage = allocated
	}
	storage = storage.DeepCopy()
	storage.RoundUp(0)
	add(corev1.ResourceRequestsStorage, storage)
	return used
}
