package openapi

import (
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const gvkExtension = "x-kubernetes-group-version-kind"

// Media types of bodies.
var (
	objectTypes = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}
	patchTypes  = []string{"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"}
	listTypes   = append(objectTypes[:len(objectTypes):len(objectTypes)], "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
)

func gvkValue(gvk schema.GroupVersionKind) map[string]any {
	return map[string]any{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}
}

// operation is what all operations on a kind have in common.
type operation struct {
	kind   *registry.Kind
	object *spec.Schema
	list   *spec.Schema
	status *spec.Schema
	patch  *spec.Schema
}

func root(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "/api/" + gv.Version
	}
	return "/apis/" + gv.String()
}

// addPaths adds the paths of a kind: of one object, of a collection, and of all namespaces.
func (o operation) addPaths(paths map[string]spec.PathItem) {
	base := root(o.kind.GVK.GroupVersion())
	collection := base + "/" + o.kind.Resource
	scope := "Namespaced"
	if o.kind.Namespaced {
		paths[collection] = spec.PathItem{PathItemProps: spec.PathItemProps{
			Get:        o.get("list", "list"+o.title()+o.kind.GVK.Kind+"ForAllNamespaces", o.list, listParameters(), listTypes),
			Parameters: []spec.Parameter{query("pretty", "string", "Indent the answer.")},
		}}
		collection = base + "/namespaces/{namespace}/" + o.kind.Resource
	} else {
		scope = ""
	}
	shared := o.pathParameters(false)
	id := o.title() + scope + o.kind.GVK.Kind
	paths[collection] = spec.PathItem{PathItemProps: spec.PathItemProps{
		Get:        o.get("list", "list"+id, o.list, listParameters(), listTypes),
		Post:       o.write("post", "create"+id, http.StatusCreated),
		Delete:     o.action("deletecollection", "delete"+o.title()+"Collection"+scope+o.kind.GVK.Kind, o.status, append(listParameters(), deleteParameters()...)),
		Parameters: shared,
	}}
	paths[collection+"/{name}"] = spec.PathItem{PathItemProps: spec.PathItemProps{
		Get:        o.get("get", "read"+id, o.object, nil, objectTypes),
		Put:        o.write("put", "replace"+id, http.StatusOK),
		Patch:      o.patching("patch" + id),
		Delete:     o.action("delete", "delete"+id, o.status, deleteParameters()),
		Parameters: o.pathParameters(true),
	}}
}

// title is the group and version as operation ids begin: "AppsV1".
func (o operation) title() string {
	group, _, _ := strings.Cut(o.kind.GVK.Group, ".")
	if group == "" {
		group = "core"
	}
	return strings.ToUpper(group[:1]) + group[1:] + strings.ToUpper(o.kind.GVK.Version[:1]) + o.kind.GVK.Version[1:]
}

func (o operation) pathParameters(named bool) []spec.Parameter {
	out := []spec.Parameter{query("pretty", "string", "Indent the answer.")}
	if o.kind.Namespaced {
		out = append(out, inPath("namespace", "The namespace."))
	}
	if named {
		out = append(out, inPath("name", "Name of the "+o.kind.GVK.Kind+"."))
	}
	return out
}

func (o operation) new(action, id string, answer *spec.Schema, code int) *spec.Operation {
	op := &spec.Operation{OperationProps: spec.OperationProps{ID: strings.ToLower(id[:1]) + id[1:]}}
	op.Consumes, op.Produces, op.Schemes = []string{"*/*"}, objectTypes, []string{"https"}
	op.Responses = &spec.Responses{ResponsesProps: spec.ResponsesProps{StatusCodeResponses: map[int]spec.Response{
		code: {ResponseProps: spec.ResponseProps{Description: http.StatusText(code), Schema: answer}},
		401:  {ResponseProps: spec.ResponseProps{Description: "Unauthorized"}},
	}}}
	op.AddExtension("x-kubernetes-action", action)
	op.AddExtension(gvkExtension, gvkValue(o.kind.GVK))
	return op
}

func (o operation) get(action, id string, answer *spec.Schema, parameters []spec.Parameter, produces []string) *spec.Operation {
	op := o.new(action, id, answer, http.StatusOK)
	op.Produces, op.Parameters = produces, parameters
	return op
}

func (o operation) write(action, id string, code int) *spec.Operation {
	op := o.new(action, id, o.object, code)
	op.Parameters = append([]spec.Parameter{body(o.object)}, writeParameters()...)
	return op
}

func (o operation) patching(id string) *spec.Operation {
	op := o.new("patch", id, o.object, http.StatusOK)
	op.Consumes = patchTypes
	op.Parameters = append([]spec.Parameter{body(o.patch)}, writeParameters()...)
	return op
}

func (o operation) action(action, id string, answer *spec.Schema, parameters []spec.Parameter) *spec.Operation {
	op := o.new(action, id, answer, http.StatusOK)
	op.Parameters = parameters
	return op
}

func query(name, kind, text string) spec.Parameter {
	p := spec.Parameter{ParamProps: spec.ParamProps{Name: name, In: "query", Description: text}}
	p.Type, p.UniqueItems = kind, true
	return p
}

func inPath(name, text string) spec.Parameter {
	p := query(name, "string", text)
	p.In, p.Required = "path", true
	return p
}

func body(object *spec.Schema) spec.Parameter {
	return spec.Parameter{ParamProps: spec.ParamProps{Name: "body", In: "body", Required: true, Schema: object}}
}

func writeParameters() []spec.Parameter {
	return []spec.Parameter{
		query("dryRun", "string", "All: check, and store nothing."),
		query("fieldManager", "string", "Name of the actor that makes the change."),
		query("fieldValidation", "string", "What unknown and duplicate fields mean: Ignore, Warn or Strict."),
	}
}

func deleteParameters() []spec.Parameter {
	return []spec.Parameter{
		query("dryRun", "string", "All: check, and delete nothing."),
		query("gracePeriodSeconds", "integer", "Seconds until the object must be gone."),
		query("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
		query("propagationPolicy", "string", "What becomes of dependents: Orphan, Background or Foreground."),
	}
}

func listParameters() []spec.Parameter {
	return []spec.Parameter{
		query("allowWatchBookmarks", "boolean", "Send bookmarks in a watch."),
		query("continue", "string", "Token of the page before."),
		query("fieldSelector", "string", "Select by fields."),
		query("labelSelector", "string", "Select by labels."),
		query("limit", "integer", "Most objects in an answer."),
		query("resourceVersion", "string", "Version to read or to watch from."),
		query("resourceVersionMatch", "string", "How resourceVersion is meant."),
		query("sendInitialEvents", "boolean", "Begin a watch with the present state."),
		query("timeoutSeconds", "integer", "Seconds until the call ends."),
		query("watch", "boolean", "Watch instead of list."),
	}
}
