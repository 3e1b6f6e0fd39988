package openapi

import (
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// addSubresource adds the path of a subresource of a kind; o.object and o.gvk are
// what it takes and gives.
func (o operation) addSubresource(paths map[string]spec.PathItem, sub *registry.Subresource) {
	path := o.collection() + "/{name}/" + sub.Name
	if options, ok := connectOptions[sub.Name]; ok {
		paths[path] = o.connecting(sub, options)
		return
	}
	has := func(verb string) bool { return slices.Contains(sub.Verbs, verb) }
	id, of := o.id()+upper(sub.Name), sub.Name+" of the specified "+o.kind.GVK.Kind
	item := spec.PathItem{PathItemProps: spec.PathItemProps{Parameters: o.pathParameters(true)}}
	if has("get") {
		item.Get = o.reading("get", "read"+id, "read "+of, o.object, objectTypes)
	}
	if has("update") {
		item.Put = o.writing("put", "replace"+id, "replace "+of)
	}
	if has("patch") {
		item.Patch = o.patch("patch"+id, "partially update "+of)
	}
	if has("create") {
		item.Post = o.new("post", "create"+id, "create "+sub.Name+" of "+article(o.kind.GVK.Kind), o.object,
			http.StatusOK, http.StatusCreated, http.StatusAccepted)
		item.Post.Parameters = with(body(o.object, true), createOptions)
	}
	paths[path] = item
}

// connecting describes a subresource that streams: each method begins the same.
func (o operation) connecting(sub *registry.Subresource, options []spec.Parameter) spec.PathItem {
	item := spec.PathItem{PathItemProps: spec.PathItemProps{
		Parameters: sorted(append(o.pathParameters(true), options...)),
	}}
	if sub.Name == "log" {
		item.Get = o.reading("get", "read"+o.id()+"Log", "read log of the specified "+o.kind.GVK.Kind, spec.StringProperty(),
			append([]string{"text/plain"}, objectTypes...))
		return item
	}
	o.gvk = corev1.SchemeGroupVersion.WithKind("Pod" + connectKinds[sub.Name] + "Options")
	connect := func(method, name string) *spec.Operation {
		op := o.new("connect", "connect"+o.title()+name+o.scope()+o.kind.GVK.Kind+upper(sub.Name),
			"connect "+method+" requests to "+sub.Name+" of "+o.kind.GVK.Kind, spec.StringProperty(), http.StatusOK)
		op.Produces = []string{"*/*"}
		return op
	}
	item.Get, item.Post = connect(http.MethodGet, "Get"), connect(http.MethodPost, "Post")
	if sub.Name == "proxy" {
		o.gvk.Kind = o.kind.GVK.Kind + "ProxyOptions"
		item.Get, item.Post = connect(http.MethodGet, "Get"), connect(http.MethodPost, "Post")
		item.Put, item.Patch = connect(http.MethodPut, "Put"), connect(http.MethodPatch, "Patch")
		item.Delete, item.Head = connect(http.MethodDelete, "Delete"), connect(http.MethodHead, "Head")
		item.Options = connect(http.MethodOptions, "Options")
	}
	return item
}

// connectKinds are the subresources as the types of their options are named.
var connectKinds = map[string]string{"attach": "Attach", "exec": "Exec", "portforward": "PortForward", "proxy": "Proxy"}
