package openapi

import (
	"net/http"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

// The operations of the verbs; nil where the kind does not have the verb.

func (o operation) reading(action, id, text string, answer *spec.Schema, produces []string) *spec.Operation {
	op := o.new(action, id, text, answer, http.StatusOK)
	op.Produces = produces
	return op
}

func (o operation) listing() *spec.Operation {
	if !o.has("list") {
		return nil
	}
	op := o.reading("list", "list"+o.id(), "list or watch objects of kind "+o.kind.GVK.Kind, o.list, listTypes)
	op.Parameters = listOptions
	return op
}

func (o operation) getting() *spec.Operation {
	if !o.has("get") {
		return nil
	}
	return o.reading("get", "read"+o.id(), "read the specified "+o.kind.GVK.Kind, o.object, objectTypes)
}

func (o operation) creating() *spec.Operation {
	if !o.has("create") {
		return nil
	}
	op := o.new("post", "create"+o.id(), "create "+article(o.kind.GVK.Kind), o.object, http.StatusOK, http.StatusCreated, http.StatusAccepted)
	op.Parameters = with(body(o.object, true), createOptions)
	return op
}

func (o operation) replacing() *spec.Operation {
	if !o.has("update") {
		return nil
	}
	return o.writing("put", "replace"+o.id(), "replace the specified "+o.kind.GVK.Kind)
}

func (o operation) writing(action, id, text string) *spec.Operation {
	op := o.new(action, id, text, o.object, http.StatusOK, http.StatusCreated)
	op.Parameters = with(body(o.object, true), updateOptions)
	return op
}

func (o operation) patching() *spec.Operation {
	if !o.has("patch") {
		return nil
	}
	return o.patch("patch"+o.id(), "partially update the specified "+o.kind.GVK.Kind)
}

func (o operation) patch(id, text string) *spec.Operation {
	op := o.new("patch", id, text, o.object, http.StatusOK, http.StatusCreated)
	op.Consumes = patchTypes
	op.Parameters = with(body(o.shared.patch, true), patchOptions)
	return op
}

func (o operation) deleting() *spec.Operation {
	if !o.has("delete") {
		return nil
	}
	op := o.new("delete", "delete"+o.id(), "delete "+article(o.kind.GVK.Kind), o.shared.status, http.StatusOK, http.StatusAccepted)
	op.Parameters = with(body(o.shared.deleteOptions, false), deleteOptions)
	return op
}

func (o operation) deletingAll() *spec.Operation {
	if !o.has("deletecollection") {
		return nil
	}
	op := o.new("deletecollection", "delete"+o.title()+"Collection"+o.scope()+o.kind.GVK.Kind,
		"delete collection of "+o.kind.GVK.Kind, o.shared.status, http.StatusOK)
	op.Parameters = with(body(o.shared.deleteOptions, false), deleteOptions)
	for _, p := range listOptions {
		if p.Name != "watch" && p.Name != "allowWatchBookmarks" {
			op.Parameters = append(op.Parameters, p)
		}
	}
	sorted(op.Parameters)
	return op
}

// article puts the indefinite article before a kind.
func article(kind string) string {
	switch kind[0] {
	case 'A', 'E', 'I', 'O':
		return "an " + kind
	}
	return "a " + kind
}

// with returns the parameters with one more.
func with(p spec.Parameter, parameters []spec.Parameter) []spec.Parameter {
	return sorted(append([]spec.Parameter{p}, parameters...))
}
