package openapi

import (
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const gvkExtension = "x-kubernetes-group-version-kind"

// Media types of bodies.
var (
	objectTypes = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}
	patchTypes  = []string{
		"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
	}
	listTypes = append(objectTypes[:len(objectTypes):len(objectTypes)], "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
)

func gvkValue(gvk schema.GroupVersionKind) map[string]any {
	return map[string]any{"group": gvk.Group, "version": gvk.Version, "kind": gvk.Kind}
}

// operation is what all operations on a kind, or on a subresource of it, have in common.
type operation struct {
	kind   *registry.Kind
	gvk    schema.GroupVersionKind // of what is sent and answered
	object *spec.Schema
	list   *spec.Schema
	shared *shared
}

// shared are the schemas that operations on all kinds refer to.
type shared struct{ status, patch, deleteOptions *spec.Schema }

func root(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "/api/" + gv.Version
	}
	return "/apis/" + gv.String()
}

// addPaths adds the paths of a kind: of one object, of a collection, of all
// namespaces, and of the subresources.
func (o operation) addPaths(paths map[string]spec.PathItem) {
	if o.kind.Namespaced && o.has("list") {
		paths[root(o.kind.GVK.GroupVersion())+"/"+o.kind.Resource] = spec.PathItem{PathItemProps: spec.PathItemProps{
			Get: o.reading("list", "list"+o.title()+o.kind.GVK.Kind+"ForAllNamespaces",
				"list or watch objects of kind "+o.kind.GVK.Kind, o.list, listTypes),
			Parameters: sorted(append([]spec.Parameter{query("pretty", "string", prettyText)}, listOptions...)),
		}}
	}
	paths[o.collection()] = spec.PathItem{PathItemProps: spec.PathItemProps{
		Get:        o.listing(),
		Post:       o.creating(),
		Delete:     o.deletingAll(),
		Parameters: o.pathParameters(false),
	}}
	one := spec.PathItem{PathItemProps: spec.PathItemProps{
		Get:        o.getting(),
		Put:        o.replacing(),
		Patch:      o.patching(),
		Delete:     o.deleting(),
		Parameters: o.pathParameters(true),
	}}
	if one.Get != nil || one.Put != nil || one.Patch != nil || one.Delete != nil {
		paths[o.collection()+"/{name}"] = one
	}
}

func (o operation) has(verb string) bool { return slices.Contains(o.kind.Verbs, verb) }

func (o operation) collection() string {
	base := root(o.kind.GVK.GroupVersion())
	if o.kind.Namespaced {
		base += "/namespaces/{namespace}"
	}
	return base + "/" + o.kind.Resource
}

// title is the group and version as operation ids begin: "AppsV1".
func (o operation) title() string { return titled(tag(o.kind.GVK.GroupVersion())) }

// id is what the operation ids of the kind end with: "AppsV1NamespacedDeployment".
func (o operation) id() string { return o.title() + o.scope() + o.kind.GVK.Kind }

func (o operation) scope() string {
	if o.kind.Namespaced {
		return "Namespaced"
	}
	return ""
}

// tag names a group version in the documents: "rbacAuthorization_v1".
func tag(gv schema.GroupVersion) string {
	words := strings.Split(strings.TrimSuffix(gv.Group, ".k8s.io"), ".")
	if gv.Group == "" {
		words = []string{"core"}
	}
	out := words[0]
	for _, word := range words[1:] {
		out += upper(word)
	}
	return out + "_" + gv.Version
}

func titled(tag string) string {
	group, version, _ := strings.Cut(tag, "_")
	return upper(group) + upper(version)
}

func upper(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func (o operation) pathParameters(named bool) []spec.Parameter {
	out := []spec.Parameter{query("pretty", "string", prettyText)}
	if o.kind.Namespaced {
		out = append(out, inPath("namespace", "object name and auth scope, such as for teams and projects"))
	}
	if named {
		out = append(out, inPath("name", "name of the "+o.kind.GVK.Kind))
	}
	return sorted(out)
}

// sorted orders parameters by name.
func sorted(parameters []spec.Parameter) []spec.Parameter {
	slices.SortStableFunc(parameters, func(a, b spec.Parameter) int { return strings.Compare(a.Name, b.Name) })
	return parameters
}

// new returns an operation that answers with one schema, whatever the code is.
func (o operation) new(action, id, text string, answer *spec.Schema, codes ...int) *spec.Operation {
	op := &spec.Operation{OperationProps: spec.OperationProps{ID: strings.ToLower(id[:1]) + id[1:], Description: text}}
	op.Consumes, op.Produces, op.Schemes = []string{"*/*"}, objectTypes, []string{"https"}
	op.Tags = []string{tag(o.kind.GVK.GroupVersion())}
	responses := map[int]spec.Response{
		http.StatusUnauthorized: {ResponseProps: spec.ResponseProps{Description: http.StatusText(http.StatusUnauthorized)}},
	}
	for _, code := range codes {
		responses[code] = spec.Response{ResponseProps: spec.ResponseProps{Description: http.StatusText(code), Schema: answer}}
	}
	op.Responses = &spec.Responses{ResponsesProps: spec.ResponsesProps{StatusCodeResponses: responses}}
	op.AddExtension("x-kubernetes-action", action)
	op.AddExtension(gvkExtension, gvkValue(o.gvk))
	return op
}
