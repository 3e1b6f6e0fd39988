package objects_test

import (
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// TestApplyVersions applies in two versions of a kind: each manager's entry is of the
// version that it spoke, and a field is the same one in both.
func TestApplyVersions(t *testing.T) {
	s, _ := objectstest.New(t)
	v1, v2 := autoscalerIn(t, s, autoscalingv1.SchemeGroupVersion, "a"), autoscalerIn(t, s, autoscalingv2.SchemeGroupVersion, "a")
	apply := func(on objects.Target, manager, text string) (*autoscalingv2.HorizontalPodAutoscaler, bool, error) {
		_, created, err := s.Patched(objects.WithManager(admin, manager), on, objects.Patch{Type: apply, Validation: codec.Strict, Data: []byte(text)}, false)
		if err != nil {
			return nil, false, err
		}
		now, err := s.Get(admin, v2, "")
		if err != nil {
			t.Fatal(err)
		}
		return decode[*autoscalingv2.HorizontalPodAutoscaler](t, now), created, nil
	}
	const old = `{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: a},
		spec: {maxReplicas: 5, targetCPUUtilizationPercentage: 50, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}`
	obj, created, err := apply(v1, "old", old)
	if err != nil || !created || len(obj.Spec.Metrics) != 1 {
		t.Fatalf("applied as v1: %+v, %v", obj, err)
	}
	obj, created, err = apply(v2, "new", `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {minReplicas: 2}}`)
	if err == nil && (created || *obj.Spec.MinReplicas != 2) {
		t.Errorf("applied as v2: %+v", obj.Spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, e := range obj.ManagedFields {
		versions[e.Manager] = e.APIVersion
	}
	if versions["old"] != "autoscaling/v1" || versions["new"] != "autoscaling/v2" {
		t.Errorf("entries: %v", versions)
	}
	if _, _, err = apply(v2, "new", `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {maxReplicas: 6}}`); err == nil {
		t.Error("what was applied as v1 was taken in v2 without a conflict")
	}
	updated := obj.DeepCopy()
	updated.Labels = map[string]string{"a": "b"}
	if _, err := s.Update(objects.WithManager(admin, "updater"), v2, updated, false); err != nil {
		t.Fatal(err)
	}
	again, _, err := apply(v1, "old", old)
	if err != nil || again.Labels["a"] != "b" || len(metav1.Object(again).GetManagedFields()) < 3 {
		t.Errorf("applied again as v1: %+v, %v", again, err)
	}
}
