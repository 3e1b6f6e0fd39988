package workload

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
)

// Warnings are those about the pods that an object will make.
func Warnings(name string, spec *corev1.PodSpec) []string {
	return append(NameWarnings(name), podspec.Warnings(spec, field.NewPath("spec", "template", "spec"))...)
}

// NameWarnings are those about a name that pods' names are made of.
func NameWarnings(name string) []string {
	messages := validation.IsDNS1123Label(name)
	if name == "" || len(messages) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, "+
		"which can result in surprising behavior; a DNS label is recommended: %v", messages)}
}
