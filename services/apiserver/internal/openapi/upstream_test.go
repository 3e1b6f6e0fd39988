package openapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/schemaconv"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/musterhq/muster/services/apiserver/internal/openapi"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

// upstream returns the schema of Kubernetes' own documents, which client-go holds.
func upstream(t *testing.T, kinds []*registry.Kind) *smd.Schema {
	t.Helper()
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	obj := kinds[0].New()
	obj.GetObjectKind().SetGroupVersionKind(kinds[0].GVK)
	value, err := converter.ObjectToTyped(obj, typed.AllowDuplicates)
	if err != nil {
		t.Fatal(err)
	}
	return value.Schema()
}

// untyped are types that take anything. client-go's schema was made of OpenAPI v2,
// which words that otherwise than v3; Kubernetes' server merges by v3, as we do.
var untyped = []string{
	"io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
	"io.k8s.apimachinery.pkg.runtime.RawExtension",
	"io.k8s.apimachinery.pkg.util.intstr.IntOrString",
}

// TestUpstream compares what decides over merging (lists, keys, atomic parts,
// defaults) with Kubernetes' own schema, for all types that are served.
func TestUpstream(t *testing.T) {
	kinds := catalog.All(registry.Options{})
	theirs := upstream(t, kinds)
	ours, err := schemaconv.ToSchemaFromOpenAPI(openapi.Definitions(kinds), false)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i := range ours.Types {
		def := &ours.Types[i]
		want, ok := theirs.FindNamedType(def.Name)
		if !ok || slices.Contains(untyped, def.Name) {
			continue // Lists, options and statuses are in no apply configuration.
		}
		compared++
		compareAtoms(t, def.Name, def.Atom, want.Atom)
	}
	if compared < 100 {
		t.Errorf("only %d types compared", compared)
	}
}

func compareAtoms(t *testing.T, path string, got, want smd.Atom) {
	t.Helper()
	if got.Map != nil && want.Map != nil {
		compareMaps(t, path, got.Map, want.Map)
		got.Map, want.Map = nil, nil
	}
	if g, w := describe(got), describe(want); g != w {
		t.Errorf("%s is %s, in Kubernetes %s", path, g, w)
	}
}

func compareMaps(t *testing.T, path string, got, want *smd.Map) {
	t.Helper()
	relation := func(r smd.ElementRelationship) string { return strings.Replace(string(r), "separable", "", 1) }
	if relation(got.ElementRelationship) != relation(want.ElementRelationship) {
		t.Errorf("%s is %q, in Kubernetes %q", path, got.ElementRelationship, want.ElementRelationship)
	}
	for _, field := range want.Fields {
		mine, ok := got.FindField(field.Name)
		if !ok {
			t.Errorf("%s.%s is missing", path, field.Name)
			continue
		}
		if a, b := fmt.Sprint(mine.Default), fmt.Sprint(field.Default); a != b && (mine.Default != nil || field.Default != nil) && !emptyStruct(mine.Default) {
			t.Errorf("%s.%s defaults to %q, in Kubernetes %q", path, field.Name, a, b)
		}
		if g, w := describeRef(mine.Type), describeRef(field.Type); g != w {
			t.Errorf("%s.%s is %s, in Kubernetes %s", path, field.Name, g, w)
		}
	}
	for _, field := range got.Fields {
		if !slices.ContainsFunc(want.Fields, func(f smd.StructField) bool { return f.Name == field.Name }) {
			t.Errorf("%s.%s is not in Kubernetes", path, field.Name)
		}
	}
	if g, w := describeRef(got.ElementType), describeRef(want.ElementType); g != w {
		t.Errorf("elements of %s are %s, in Kubernetes %s", path, g, w)
	}
}

// emptyStruct tells a default that client-go's schema leaves out: {}.
func emptyStruct(v any) bool {
	m, ok := v.(map[string]any)
	return ok && len(m) == 0
}

func describeRef(r smd.TypeRef) string {
	out := describe(r.Inlined)
	if r.NamedType != nil {
		out = *r.NamedType
	}
	if a := r.Inlined; a.Scalar != nil && a.List != nil && a.Map != nil { // Anything, of a struct without fields.
		out = "__untyped_deduced_"
	}
	if out == "__untyped_atomic_" { // Where v2 has no name for it.
		out = "io.k8s.apimachinery.pkg.runtime.RawExtension"
	}
	if r.ElementRelationship != nil {
		out += " " + string(*r.ElementRelationship)
	}
	return out
}

func describe(a smd.Atom) string {
	var out []string
	if a.Scalar != nil {
		out = append(out, string(*a.Scalar))
	}
	if a.List != nil {
		out = append(out, fmt.Sprintf("list %s %v of %s", a.List.ElementRelationship, a.List.Keys, describeRef(a.List.ElementType)))
	}
	if a.Map != nil {
		out = append(out, fmt.Sprintf("map %s of %s", a.Map.ElementRelationship, describeRef(a.Map.ElementType)))
	}
	return strings.Join(out, " or ")
}
