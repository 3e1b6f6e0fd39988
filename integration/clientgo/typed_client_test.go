package clientgo_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes"
)

// typed is client-go's typed client of one kind. There is no interface over the
// types, so its methods are called by their names.
type typed struct{ client reflect.Value }

// typedClient finds the client of a kind: CoreV1().Pods(namespace).
func typedClient(clients kubernetes.Interface, r *resource, namespace string) (typed, bool) {
	group, _, _ := strings.Cut(r.gvk.Group, ".")
	if group == "" {
		group = "core"
	}
	of, ok := methodFold(reflect.ValueOf(clients), group+r.gvk.Version)
	if !ok && r.gvk.Group == "rbac.authorization.k8s.io" {
		of, ok = methodFold(reflect.ValueOf(clients), "rbac"+r.gvk.Version)
	}
	if !ok {
		return typed{}, false
	}
	of, ok = methodFold(of.Call(nil)[0], r.Name)
	if !ok {
		return typed{}, false
	}
	var args []reflect.Value
	if of.Type().NumIn() == 1 {
		args = append(args, reflect.ValueOf(namespace))
	}
	return typed{of.Call(args)[0]}, true
}

func methodFold(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumMethod() {
		if strings.EqualFold(v.Type().Method(i).Name, name) {
			return v.Method(i), true
		}
	}
	return reflect.Value{}, false
}

func (c typed) has(method string) bool { return c.client.MethodByName(method).IsValid() }

// argument returns a new value of the type that a method takes, after the context.
func (c typed) argument(method string) any {
	return reflect.New(c.client.MethodByName(method).Type().In(1).Elem()).Interface()
}

// call calls a method that returns an error, and something before it or nothing.
func (c typed) call(ctx context.Context, method string, args ...any) (any, error) {
	in := []reflect.Value{reflect.ValueOf(ctx)}
	for _, a := range args {
		in = append(in, reflect.ValueOf(a))
	}
	out := c.client.MethodByName(method).Call(in)
	err, _ := out[len(out)-1].Interface().(error)
	if len(out) == 1 {
		return nil, err
	}
	return out[0].Interface(), err
}

// write calls a method that returns the object as it was stored.
func (c typed) write(ctx context.Context, method string, args ...any) (object, error) {
	out, err := c.call(ctx, method, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return out.(object), nil
}

// asked is what a method of a typed client asks for: a verb, of a subresource or of
// the object.
type asked struct{ sub, verb string }

// methods is what those of typed clients ask for.
var methods = map[string]asked{
	"Create": {"", "create"}, "Update": {"", "update"}, "Get": {"", "get"}, "List": {"", "list"}, "Watch": {"", "watch"},
	"Patch": {"", "patch"}, "Apply": {"", "patch"}, "Delete": {"", "delete"}, "DeleteCollection": {"", "deletecollection"},
	"UpdateStatus": {"status", "update"}, "ApplyStatus": {"status", "patch"}, "PatchStatus": {"status", "patch"},
	"GetScale": {"scale", "get"}, "UpdateScale": {"scale", "update"}, "ApplyScale": {"scale", "patch"},
	"Bind": {"binding", "create"}, "Evict": {"eviction", "create"}, "EvictV1": {"eviction", "create"}, "EvictV1beta1": {"eviction", "create"},
	"GetLogs": {"log", "get"}, "ProxyGet": {"proxy", "get"}, "UpdateEphemeralContainers": {"ephemeralcontainers", "update"},
	"UpdateResize": {"resize", "update"},
	"CreateToken":  {"token", "create"}, "Finalize": {"finalize", "update"}, "UpdateApproval": {"approval", "update"},
}

// other are methods of typed clients that are other names of one of those, or ask for nothing.
var other = map[string]bool{
	"CreateWithEventNamespace": true, "CreateWithEventNamespaceWithContext": true, "UpdateWithEventNamespace": true, "UpdateWithEventNamespaceWithContext": true,
	"PatchWithEventNamespace": true, "PatchWithEventNamespaceWithContext": true,
	"Search": true, "SearchWithContext": true, "GetFieldSelector": true,
}

// gated is served where Kubernetes' feature CSIVolumeHealth is on: it is alpha.
const gated = "csinodes/status"

// checkMethods compares what a typed client can ask for with what discovery names.
func (c typed) checkMethods(t *testing.T, r *resource) {
	t.Helper()
	verbs := map[asked]bool{}
	for _, v := range r.Verbs {
		verbs[asked{"", v}] = true
	}
	for name, sub := range r.subresources {
		for _, v := range sub.Verbs {
			verbs[asked{name, v}] = true
		}
	}
	can := map[asked]bool{}
	for i := range c.client.NumMethod() {
		name := c.client.Type().Method(i).Name
		want, known := methods[name]
		if !known && !other[name] {
			t.Errorf("%s: nothing here tests the method %s", r.gvr, name)
		}
		if known && !verbs[want] && r.Name+"/"+want.sub != gated {
			t.Errorf("%s: %s asks for %q %s, which is not served", r.gvr, name, want.verb, want.sub)
		}
		can[want] = true
	}
	for _, v := range r.Verbs {
		// The typed client of services was made before collections of them could go.
		if !can[asked{"", v}] && (r.Name != "services" || v != "deletecollection") {
			t.Errorf("%s: %s is served, and client-go does not ask for it", r.gvr, v)
		}
	}
}
