package container

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
)

// Warnings are those about a container.
func Warnings(c *corev1.Container, path *field.Path) []string {
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
	first := map[corev1.ContainerPort]int{}
	for i, p := range c.Ports {
		key := corev1.ContainerPort{Protocol: p.Protocol, ContainerPort: p.ContainerPort}
		if at, ok := first[key]; ok {
			list = append(list, fmt.Sprintf("%s: duplicate port definition with %s",
				path.Child("ports").Index(i), path.Child("ports").Index(at)))
			continue
		}
		first[key] = i
	}
	return list
}

// fractionWarnings: "100m" of memory is a tenth of a byte, and never meant.
func fractionWarnings(quantities corev1.ResourceList, path *field.Path) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(quantities)) {
		q := quantities[name]
		if name == corev1.ResourceMemory && resourcelist.Fractional(q) {
			list = append(list, fmt.Sprintf("%s: fractional byte value %q is invalid, must be an integer", path.Key(string(name)), q.String()))
		}
	}
	return list
}
