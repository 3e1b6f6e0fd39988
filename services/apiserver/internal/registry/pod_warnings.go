package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

func podWarnings(obj *corev1.Pod) []string {
	var list []string
	if messages := validation.IsDNS1123Label(obj.Name); obj.Name != "" && len(messages) > 0 {
		list = append(list, fmt.Sprintf("metadata.name: this is used in the Pod's hostname, "+
			"which can result in surprising behavior; a DNS label is recommended: %v", messages))
	}
	return append(list, podSpecWarnings(&obj.Spec, field.NewPath("spec"))...)
}

// workloadWarnings are those about the pods that an object will make.
func workloadWarnings(name string, spec *corev1.PodSpec) []string {
	return append(nameWarnings(name), podSpecWarnings(spec, field.NewPath("spec", "template", "spec"))...)
}

func nameWarnings(name string) []string {
	messages := validation.IsDNS1123Label(name)
	if name == "" || len(messages) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, "+
		"which can result in surprising behavior; a DNS label is recommended: %v", messages)}
}

func podSpecWarnings(spec *corev1.PodSpec, path *field.Path) []string {
	var list []string
	for i := range spec.InitContainers {
		list = append(list, containerWarnings(&spec.InitContainers[i], path.Child("initContainers").Index(i))...)
	}
	for i := range spec.Containers {
		list = append(list, containerWarnings(&spec.Containers[i], path.Child("containers").Index(i))...)
	}
	if ptr.Deref(spec.TerminationGracePeriodSeconds, 0) < 0 {
		list = append(list, fmt.Sprintf("%s: must be >= 0; negative values are invalid and will be treated as 1",
			path.Child("terminationGracePeriodSeconds")))
	}
	return list
}

func containerWarnings(c *corev1.Container, path *field.Path) []string {
	var list []string
	seen := map[string]bool{}
	for i, e := range c.Env {
		// A variable that builds on its former value is meant to be there twice.
		if seen[e.Name] && !strings.Contains(e.Value, "$("+e.Name+")") {
			list = append(list, fmt.Sprintf("%s: hides previous definition of %q, which may be dropped when using apply",
				path.Child("env").Index(i), e.Name))
		}
		seen[e.Name] = true
	}
	list = append(list, fractionWarnings(c.Resources.Limits, path.Child("resources", "limits"))...)
	list = append(list, fractionWarnings(c.Resources.Requests, path.Child("resources", "requests"))...)
	first := map[portKey]int{}
	for i, p := range c.Ports {
		key := portKey{p.Protocol, p.ContainerPort}
		if at, ok := first[key]; ok {
			list = append(list, fmt.Sprintf("%s: duplicate port definition with %s",
				path.Child("ports").Index(i), path.Child("ports").Index(at)))
			continue
		}
		first[key] = i
	}
	return list
}

// fractional tells whether rounding up to a whole number changes the quantity.
func fractional(q resource.Quantity) bool {
	whole := q.DeepCopy()
	return !whole.RoundUp(0)
}

// fractionWarnings: "100m" of memory is a tenth of a byte, and never meant.
func fractionWarnings(quantities corev1.ResourceList, path *field.Path) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(quantities)) {
		q := quantities[name]
		if name == corev1.ResourceMemory && fractional(q) {
			list = append(list, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer", path.Key(string(name)), q.String()))
		}
	}
	return list
}
