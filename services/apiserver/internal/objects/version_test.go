package objects_test

import (
	"context"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

func autoscalerIn(t *testing.T, s *objects.Service, gv schema.GroupVersion, name string) objects.Target {
	t.Helper()
	k, ok := s.Kinds().ByKind(gv.WithKind("HorizontalPodAutoscaler"))
	if !ok {
		t.Fatalf("no autoscalers in %s", gv)
	}
	return objects.Target{Kind: k, Namespace: "default", Name: name}
}

func newAutoscaler(name string) *autoscalingv1.HorizontalPodAutoscaler {
	return &autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			MaxReplicas: 5, TargetCPUUtilizationPercentage: ptr(int32(50)),
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
		},
	}
}

// What is written in one version is stored once, and read in each.
func TestVersionsOfAKind(t *testing.T) {
	s, _ := objectstest.New(t)
	v1, v2 := autoscalerIn(t, s, autoscalingv1.SchemeGroupVersion, "a"), autoscalerIn(t, s, autoscalingv2.SchemeGroupVersion, "a")
	created, err := s.Create(admin, objects.Target{Kind: v1.Kind, Namespace: "default"}, newAutoscaler("a"), false)
	if err != nil {
		t.Fatal(err)
	}
	if obj := decode[*autoscalingv1.HorizontalPodAutoscaler](t, created); *obj.Spec.TargetCPUUtilizationPercentage != 50 || obj.APIVersion != "autoscaling/v1" {
		t.Errorf("created as %+v", obj)
	}
	both, err := s.Patch(admin, v2, objects.Patch{Type: types.MergePatchType, Validation: codec.Strict, Data: []byte(
		`{"spec":{"metrics":[{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"1Gi"}}},{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]}}`)}, false)
	if err != nil {
		t.Fatal(err)
	}
	// A patch is made on the version that the client speaks, and loses nothing else.
	patched, err := s.Patch(admin, v1, objects.Patch{Type: types.StrategicMergePatchType, Validation: codec.Strict, Data: []byte(`{"spec":{"targetCPUUtilizationPercentage":70}}`)}, false)
	if err != nil {
		t.Fatal(err)
	}
	if obj := decode[*autoscalingv1.HorizontalPodAutoscaler](t, patched); *obj.Spec.TargetCPUUtilizationPercentage != 70 || obj.Generation != 3 || patched.Revision <= both.Revision {
		t.Errorf("patched to %+v at %d", obj, patched.Revision)
	}
	got, err := s.Get(admin, v2, "")
	if err != nil {
		t.Fatal(err)
	}
	now := decode[*autoscalingv2.HorizontalPodAutoscaler](t, got)
	if m := now.Spec.Metrics; len(m) != 2 || m[0].Resource.Name != corev1.ResourceMemory || *m[1].Resource.Target.AverageUtilization != 70 {
		t.Errorf("metrics after a patch in version 1: %+v", m)
	}
	if len(now.Annotations) > 0 {
		t.Errorf("version 2 shows annotations of version 1: %v", now.Annotations)
	}
	meta, err := readMeta(s, v1)
	if err != nil || meta.Annotations["autoscaling.alpha.kubernetes.io/metrics"] == "" {
		t.Errorf("metadata in version 1: %v, %v", meta, err)
	}
	now.Spec.MaxReplicas = 9
	if _, err := s.Update(admin, v2, now, false); err != nil {
		t.Fatal(err)
	}
	gone, err := s.Delete(admin, v1, metav1.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if obj := decode[*autoscalingv1.HorizontalPodAutoscaler](t, gone.Object); obj.Spec.MaxReplicas != 9 {
		t.Errorf("deleted %+v", obj)
	}
}

func readMeta(s *objects.Service, t objects.Target) (*metav1.ObjectMeta, error) {
	got, err := s.Get(admin, t, "")
	if err != nil {
		return nil, err
	}
	return got.Meta()
}

// A list and a watch show the version that they were asked in, in each encoding.
func TestVersionsOfAList(t *testing.T) {
	s, _ := objectstest.New(t)
	v1, v2 := autoscalerIn(t, s, autoscalingv1.SchemeGroupVersion, ""), autoscalerIn(t, s, autoscalingv2.SchemeGroupVersion, "")
	if _, err := s.Create(admin, v1, newAutoscaler("a"), false); err != nil {
		t.Fatal(err)
	}
	for target, percent := range map[objects.Target]string{v1: `"targetCPUUtilizationPercentage":50`, v2: `"averageUtilization":50`} {
		page, err := s.List(admin, target, objects.ListOptions{})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("%d objects, %v", len(page.Items), err)
		}
		for range 2 { // The second time it might be cached.
			text, err := s.JSON(page.Items[0])
			if err != nil || !strings.Contains(string(text), percent) || !strings.Contains(string(text), target.Kind.GVK.GroupVersion().String()) {
				t.Errorf("%s: %s, %v", target.Kind.GVK, text, err)
			}
		}
		obj := target.Kind.New()
		if err := obj.Unmarshal(page.Items[0].Protobuf()); err != nil || obj.GetResourceVersion() == "" || obj.GetName() != "a" {
			t.Errorf("%s in protobuf: %+v, %v", target.Kind.GVK, obj, err)
		}
	}
	ctx, cancel := context.WithTimeout(admin, 5*time.Second)
	defer cancel()
	w, err := s.Watch(ctx, v1, objects.WatchOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteCollection(admin, v2, objects.ListOptions{}, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	var seen []watch.EventType
	for len(seen) < 2 {
		events, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			seen = append(seen, e.Type)
			if obj := decode[*autoscalingv1.HorizontalPodAutoscaler](t, e.Object); *obj.Spec.TargetCPUUtilizationPercentage != 50 {
				t.Errorf("%s: %+v", e.Type, obj)
			}
		}
	}
	if seen[0] != watch.Added || seen[1] != watch.Deleted {
		t.Errorf("watched %v", seen)
	}
}
