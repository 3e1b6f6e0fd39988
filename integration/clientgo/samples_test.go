// Package clientgo holds tests by client-go and controller-runtime, as programs use
// them, of the REST door. What they expect is what these libraries and Kubernetes' API
// conventions promise.
package clientgo_test

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
)

//go:embed testdata/samples.yaml
var samplesYAML []byte

// ours is the label of what tests make, among what the server has by itself.
const ours, oursValue = "made-by", "test"

// oursOnly selects it.
const oursOnly = ours + "=" + oursValue

// object is what typed clients take and give.
type object interface {
	runtime.Object
	metav1.Object
}

// samples reads an object of each kind, strictly.
func samples(t *testing.T) map[schema.GroupVersionKind]object {
	t.Helper()
	out := map[schema.GroupVersionKind]object{}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(samplesYAML)))
	buffer := make([]byte, len(samplesYAML))
	for {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		obj, gvk, err := decoder.Decode(buffer[:n], nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, buffer[:n])
		}
		out[*gvk] = obj.(object)
	}
}

// sampleNamespace is where samples are that name none.
const sampleNamespace = "kinds"

// prepared labels a sample that will be stored and puts it into its namespace, which
// is made.
func prepared(ctx context.Context, t *testing.T, client kubernetes.Interface, sample object, namespaced bool) object {
	t.Helper()
	obj := sample.DeepCopyObject().(object)
	if obj.GetName() != "" {
		labels := maps.Clone(obj.GetLabels())
		if labels == nil {
			labels = map[string]string{}
		}
		labels[ours] = oursValue
		obj.SetLabels(labels)
	}
	if !namespaced {
		return obj
	}
	if obj.GetNamespace() == "" {
		obj.SetNamespace(sampleNamespace)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: obj.GetNamespace()}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return obj
}

// resource is a kind that the server names in its discovery.
type resource struct {
	metav1.APIResource
	gvk schema.GroupVersionKind
	gvr schema.GroupVersionResource
	// subresources that it has.
	subresources map[string]metav1.APIResource
}

// served asks discovery for all kinds.
func served(t *testing.T, client discovery.DiscoveryInterface) []*resource {
	t.Helper()
	_, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var out []*resource
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]*resource{}
		for _, r := range list.APIResources {
			name, sub, below := strings.Cut(r.Name, "/")
			if below {
				byName[name].subresources[sub] = r
				continue
			}
			byName[name] = &resource{APIResource: r, gvk: gv.WithKind(r.Kind), gvr: gv.WithResource(r.Name), subresources: map[string]metav1.APIResource{}}
			out = append(out, byName[name])
		}
	}
	return out
}

// items are the objects of a list.
func items(t *testing.T, list runtime.Object) []metav1.Object {
	t.Helper()
	objects, err := meta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	var out []metav1.Object
	for _, obj := range objects {
		m, err := meta.Accessor(obj)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}
