package codec_test

import (
	"errors"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metascheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

// format is an encoding that clients send, as this package and as Kubernetes' library
// reads it.
type format struct {
	ours   func(data []byte, into registry.Object, gvk schema.GroupVersionKind) error
	theirs runtime.Serializer
}

// reads returns a decoder that drops its warnings.
func reads(decode func([]byte, runtime.Object, schema.GroupVersionKind, codec.Validation) ([]string, error), v codec.Validation) func([]byte, registry.Object, schema.GroupVersionKind) error {
	return func(data []byte, into registry.Object, gvk schema.GroupVersionKind) error {
		_, err := decode(data, into, gvk, v)
		return err
	}
}

func formats() []format {
	library := func(yaml, strict bool) runtime.Serializer {
		return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: yaml, Strict: strict})
	}
	return []format{
		{ours: reads(codec.DecodeJSON, codec.Ignore), theirs: library(false, false)},
		{ours: reads(codec.DecodeJSON, codec.Strict), theirs: library(false, true)},
		{ours: reads(codec.DecodeYAML, codec.Ignore), theirs: library(true, false)},
		{ours: reads(codec.DecodeYAML, codec.Strict), theirs: library(true, true)},
		{
			ours: func(data []byte, into registry.Object, gvk schema.GroupVersionKind) error {
				return codec.DecodeProtobuf(data, into, gvk)
			},
			theirs: protobuf.NewSerializer(scheme.Scheme, scheme.Scheme),
		},
	}
}

// known lists the kinds that Kubernetes' library knows, too.
func known() []*registry.Kind {
	var out []*registry.Kind
	for _, k := range catalog.All(registry.Options{}) {
		if scheme.Scheme.Recognizes(k.GVK) {
			out = append(out, k)
		}
	}
	return out
}

// Every kind in every format is taken when Kubernetes' library takes it, and is the
// same object then.
func FuzzDecodeAsKubernetes(f *testing.F) {
	kinds, formats := known(), formats()
	for i, body := range bodies {
		for how := range formats {
			f.Add([]byte(body), byte(i), byte(how))
		}
	}
	for i, k := range kinds {
		for how := range formats {
			seed, err := encoded(k, formats[how].theirs)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(seed, byte(i), byte(how))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, kind, how byte) {
		compare(t, data, kinds[int(kind)%len(kinds)], formats[int(how)%len(formats)])
	})
}

// encoded is a small object of the kind as clients send it.
func encoded(k *registry.Kind, as runtime.Serializer) ([]byte, error) {
	obj := k.New()
	obj.GetObjectKind().SetGroupVersionKind(k.GVK)
	obj.SetName("a")
	obj.SetLabels(map[string]string{"app": "web"})
	return runtime.Encode(as, obj)
}

func compare(t *testing.T, data []byte, k *registry.Kind, as format) {
	t.Helper()
	obj := k.New()
	err := as.ours(data, obj, k.GVK)
	checkRefusal(t, err)
	gvk := k.GVK
	want, got, refused := as.theirs.Decode(data, &gvk, k.New())
	if refused == nil && *got != k.GVK {
		refused = errors.New("it is of another kind")
	}
	if (err == nil) != (refused == nil) {
		t.Fatalf("%s: %v\nKubernetes: %v", k.GVK.Kind, err, refused)
	}
	if err != nil {
		return
	}
	want.GetObjectKind().SetGroupVersionKind(k.GVK)
	if !apiequality.Semantic.DeepEqual(obj, want) {
		t.Errorf("%s:\n%+v\nKubernetes:\n%+v", k.GVK.Kind, obj, want)
	}
}

// The body of a deletion that Kubernetes' library takes says the same here. More is
// taken: clients name the type in groups that the library does not know.
func FuzzDeleteOptions(f *testing.F) {
	obj := &metav1.DeleteOptions{TypeMeta: metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "meta.k8s.io/v1"}, Preconditions: metav1.NewUIDPreconditions("x"), DryRun: []string{"All"}}
	serializers := []runtime.Serializer{
		json.NewSerializerWithOptions(json.DefaultMetaFactory, metascheme.Scheme, metascheme.Scheme, json.SerializerOptions{}),
		protobuf.NewSerializer(metascheme.Scheme, metascheme.Scheme),
	}
	for _, s := range serializers {
		seed, err := runtime.Encode(s, obj)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	for _, body := range []string{`{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"propagationPolicy":"Foreground"}`, `{"orphanDependents":true}`, `{"kind":"DeleteOptions","apiVersion":"apps/v1"}`, `{}`, `null`, `[]`} {
		f.Add([]byte(body))
	}
	want := metav1.SchemeGroupVersion.WithKind("DeleteOptions")
	f.Fuzz(func(t *testing.T, body []byte) {
		var ours, theirs metav1.DeleteOptions
		err := codec.DecodeDeleteOptions(body, &ours)
		checkRefusal(t, err)
		for _, s := range serializers {
			into, _, refused := s.Decode(body, &want, &theirs)
			if refused != nil || into != runtime.Object(&theirs) {
				continue
			}
			ours.TypeMeta, theirs.TypeMeta = metav1.TypeMeta{}, metav1.TypeMeta{}
			if err != nil || !apiequality.Semantic.DeepEqual(ours, theirs) {
				t.Errorf("%v: %+v\nKubernetes: %+v", err, ours, theirs)
			}
		}
	})
}
