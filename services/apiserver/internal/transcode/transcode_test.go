package transcode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/randfill"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/transcode"
)

// check compares what is transcoded with what encoding/json makes of the decoded
// object.
// It returns false where nothing was transcoded.
func check(t *testing.T, k *registry.Kind, raw []byte) bool {
	t.Helper()
	decoded := k.New()
	if err := decoded.Unmarshal(raw); err != nil {
		return false // nobody stores such
	}
	decoded.SetResourceVersion("123")
	m, err := transcode.Of(reflect.TypeOf(decoded).Elem())
	if err != nil {
		t.Fatal(err)
	}
	for _, gvk := range []schema.GroupVersionKind{k.GVK, {}} {
		decoded.GetObjectKind().SetGroupVersionKind(gvk)
		want, err := json.Marshal(decoded)
		if err != nil {
			return false
		}
		got, err := m.Append([]byte("before"), raw, gvk, "123")
		if errors.Is(err, transcode.ErrUnknown) {
			return false
		}
		if got, _ = bytes.CutPrefix(got, []byte("before")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\ngot  %s\nwant %s", k.GVK.Kind, err, got, want)
		}
	}
	return true
}

func filler(seed int64) *randfill.Filler {
	units := []string{"", "m", "k", "Mi", "G", "Ti", "e3", "u"}
	return randfill.NewWithSeed(seed).NilChance(0.3).NumElements(0, 3).MaxDepth(14).Funcs(
		func(r *runtime.RawExtension, _ randfill.Continue) { r.Raw = []byte(`{"a":"<b>"}`) },
		func(f *metav1.FieldsV1, c randfill.Continue) {
			f.Raw = [][]byte{[]byte(`{"f:a":{}}`), []byte(`{ }`), []byte(`{"f:<":{}}`), nil}[c.Intn(4)]
		},
		func(at *metav1.Time, c randfill.Continue) {
			*at = metav1.Time{}
			if c.Bool() {
				at.Time = time.Unix(c.Int63n(1e11)-2e10, 0)
			}
		},
		func(at *metav1.MicroTime, c randfill.Continue) { at.Time = time.Unix(c.Int63n(1e10), c.Int63n(1e9)) },
		func(q *resource.Quantity, c randfill.Continue) {
			*q = resource.MustParse([]string{"0", "1", "12", "999", "1000", "1024", "123456"}[c.Intn(7)] + units[c.Intn(len(units))])
		},
		func(s *string, c randfill.Continue) {
			*s = []string{"", "plain", "a<b>&c", "\"\\\n\t\x00\x7f", "äöü\u2028", "\xff\xfe"}[c.Intn(6)]
		},
	)
}

// Every kind that is stored, filled at random, looks as encoding/json has it.
func TestAllKinds(t *testing.T) {
	for _, k := range catalog.New(registry.Options{}).Kinds() {
		t.Run(k.GVK.String(), func(t *testing.T) {
			if _, err := transcode.Of(reflect.TypeOf(k.New()).Elem()); err != nil {
				t.Fatal(err)
			}
			seed := rand.Int63()
			for i := range int64(30) {
				obj := k.New()
				filler(seed + i).Fill(obj)
				raw, err := obj.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				if !check(t, k, raw) {
					t.Error("not transcoded")
				}
				if t.Failed() {
					t.Fatalf("seed %d", seed+i)
				}
			}
			check(t, k, nil)
		})
	}
}

// FuzzKinds is TestAllKinds for encodings that nobody makes.
func FuzzKinds(f *testing.F) {
	kinds := catalog.New(registry.Options{}).Kinds()
	for i, k := range kinds {
		obj := k.New()
		filler(int64(i)).Fill(obj)
		raw, err := obj.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		if len(raw) < 4<<10 { // larger ones are mutated for long, and seldom to something new
			f.Add(raw, byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, kind byte) { check(t, kinds[int(kind)%len(kinds)], raw) })
}

func BenchmarkPod(b *testing.B) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-5d9c8b7f6-00001", Namespace: "default", UID: "0b1f", Labels: map[string]string{"app": "web", "tier": "front"}, CreationTimestamp: metav1.Now()},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{
			{Name: "main", Image: "registry.example.org/web:1.2.3", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}, Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi")}}},
			{Name: "side", Image: "registry.example.org/side:4.5.6", Args: []string{"--listen", ":9090"}, Env: []corev1.EnvVar{{Name: "A", Value: "B"}}},
		}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: "Ready", Status: "True", LastTransitionTime: metav1.Now()}}},
	}
	raw, err := pod.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decoded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out corev1.Pod
			if err := out.Unmarshal(raw); err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(&out); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("transcoded", func(b *testing.B) {
		b.ReportAllocs()
		m, err := transcode.Of(reflect.TypeFor[corev1.Pod]())
		if err != nil {
			b.Fatal(err)
		}
		var to []byte
		for b.Loop() {
			if to, err = m.Append(to[:0], raw, corev1.SchemeGroupVersion.WithKind("Pod"), "123"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
