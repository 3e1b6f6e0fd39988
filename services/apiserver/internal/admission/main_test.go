package admission_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/admission"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// view is what is stored: objects by their keys.
type view map[state.Key]registry.Object

var kinds = catalog.New(registry.Options{})

// stored makes a view of objects in YAML, "kind: …" first.
func stored(t *testing.T, texts ...string) view {
	t.Helper()
	v := view{}
	for _, text := range texts {
		kind, body, _ := strings.Cut(text, "\n")
		k, ok := kinds.ByShortName(strings.ToLower(kind))
		if !ok {
			t.Fatalf("no kind %s", kind)
		}
		obj := k.New()
		if err := yaml.UnmarshalStrict([]byte(body), obj); err != nil {
			t.Fatal(err)
		}
		v[state.Key{Resource: k.StoreResource(), Namespace: obj.GetNamespace(), Name: obj.GetName()}] = obj
	}
	return v
}

func (v view) Get(resource, namespace, name string) (admission.Found, bool) {
	obj, ok := v[state.Key{Resource: resource, Namespace: namespace, Name: name}]
	if !ok {
		return admission.Found{}, false
	}
	value, err := obj.Marshal()
	if err != nil {
		panic(err)
	}
	return admission.Found{Value: value}, true
}

func (v view) List(resource, namespace string) iter.Seq[admission.Found] {
	return func(yield func(admission.Found) bool) {
		for key := range v {
			if found, _ := v.Get(key.Resource, key.Namespace, key.Name); key.Resource == resource && (namespace == "" || key.Namespace == namespace) && !yield(found) {
				return
			}
		}
	}
}

func (v view) Depend(admission.Found) {}

// outcome is what admission made of an object.
type outcome struct {
	err      string
	warnings []string
}

// request is a creation in the namespace "ns", or an update where old is not nil.
func admit(t *testing.T, v view, obj, old registry.Object) outcome {
	t.Helper()
	k, ok := kinds.Of(obj)
	if !ok {
		t.Fatalf("%T is not served", obj)
	}
	var out outcome
	r := &admission.Request{
		Operation: admission.Create, Kind: k, Namespace: obj.GetNamespace(), Name: obj.GetName(), Object: obj, View: v,
		Warn: func(text string) { out.warnings = append(out.warnings, text) },
	}
	if old != nil {
		r.Operation, r.Old = admission.Update, old
	}
	plugins := admission.New(kinds, admission.Options{TokenVolume: true}).For(k, "")
	err := plugins.Admit(r)
	if err == nil {
		err = plugins.Check(r)
	}
	if err != nil {
		out.err = err.Error()
	}
	return out
}

// pod makes a pod "p" of the namespace "ns" with a spec in YAML.
func pod(t *testing.T, spec string) *corev1.Pod {
	t.Helper()
	obj := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &obj.Spec); err != nil {
		t.Fatal(err)
	}
	return obj
}

const account = "serviceaccount\nmetadata: {namespace: ns, name: default}"

func namespace(labels string) string {
	return fmt.Sprintf("namespace\nmetadata: {name: ns, labels: {%s}}", labels)
}

func expect(t *testing.T, got, want outcome) {
	t.Helper()
	if got.err != want.err {
		t.Errorf("refused with\n %s\nwant\n %s", got.err, want.err)
	}
	if !slices.Equal(got.warnings, want.warnings) {
		t.Errorf("warned\n %q\nwant\n %q", got.warnings, want.warnings)
	}
}
