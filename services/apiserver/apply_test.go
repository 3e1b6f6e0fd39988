package apiserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingac "k8s.io/client-go/applyconfigurations/autoscaling/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/csaupgrade"

	"github.com/musterhq/muster/internal/pki"
)

func webConfiguration() *appsac.DeploymentApplyConfiguration {
	labels := map[string]string{"app": "web"}
	return appsac.Deployment("web", "default").WithSpec(appsac.DeploymentSpec().
		WithSelector(metaac.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(coreac.PodTemplateSpec().WithLabels(labels).WithSpec(coreac.PodSpec().
			WithContainers(coreac.Container().WithName("main").WithImage("a")))))
}

// ownersOf tells who manages what: "manager Operation/subresource" → FieldsV1.
func ownersOf(t *testing.T, obj metav1.Object) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, e := range obj.GetManagedFields() {
		key := e.Manager + " " + string(e.Operation)
		if e.Subresource != "" {
			key += "/" + e.Subresource
		}
		out[key] = e.FieldsV1.GetRawString()
		if e.Time == nil && e.Subresource != "scale" || e.FieldsType != "FieldsV1" || e.APIVersion == "" {
			t.Errorf("entry %+v", e)
		}
	}
	return out
}

func applied(manager string) metav1.ApplyOptions { return metav1.ApplyOptions{FieldManager: manager} }

// TestApply applies as controllers do, by client-go's typed configurations.
func TestApply(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	clients := startServer(t).client(t, pki.AdminIdentity())
	api := clients.AppsV1().Deployments("default")
	created, err := api.Apply(ctx, webConfiguration(), applied("one"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"f:spec":{"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`
	if got := ownersOf(t, created)["one Apply"]; got != want {
		t.Errorf("owned:\n%s\nwant\n%s", got, want)
	}
	again, err := api.Apply(ctx, webConfiguration(), applied("one"))
	if err != nil || again.ResourceVersion != created.ResourceVersion || !again.ManagedFields[0].Time.Equal(created.ManagedFields[0].Time) {
		t.Errorf("the same again: version %s after %s, %v", again.ResourceVersion, created.ResourceVersion, err)
	}

	t.Run("conflict", func(t *testing.T) {
		other := webConfiguration()
		other.Spec.Template.Spec.Containers[0].WithImage("b")
		_, err := api.Apply(ctx, other, applied("two"))
		var status apierrors.APIStatus
		if !errors.As(err, &status) || !apierrors.IsConflict(err) || len(status.Status().Details.Causes) != 1 {
			t.Fatalf("conflict: %v", err)
		}
		cause := status.Status().Details.Causes[0]
		if cause.Type != metav1.CauseTypeFieldManagerConflict || cause.Message != `conflict with "one"` ||
			cause.Field != `.spec.template.spec.containers[name="main"].image` ||
			status.Status().Message != `Apply failed with 1 conflict: conflict with "one": `+cause.Field {
			t.Errorf("conflict: %+v", status.Status())
		}
		forced, err := api.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "two", Force: true})
		if err != nil || forced.Spec.Template.Spec.Containers[0].Image != "b" || strings.Contains(ownersOf(t, forced)["one Apply"], "f:image") {
			t.Errorf("forced: %v, %v", forced.ManagedFields, err)
		}
	})
	t.Run("extract", func(t *testing.T) {
		now, err := api.Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		mine, err := appsac.ExtractDeployment(now, "two")
		if err != nil || *mine.Spec.Template.Spec.Containers[0].Image != "b" || mine.Spec.Replicas != nil {
			t.Errorf("extracted %+v, %v", mine, err)
		}
	})
	t.Run("scale", func(t *testing.T) { applyScale(ctx, t, clients) })
	t.Run("status", func(t *testing.T) {
		got, err := api.ApplyStatus(ctx, appsac.Deployment("web", "default").
			WithSpec(appsac.DeploymentSpec().WithPaused(true)).
			WithStatus(appsac.DeploymentStatus().WithReplicas(3)), applied("controller"))
		if err != nil || got.Spec.Paused || got.Status.Replicas != 3 || ownersOf(t, got)["controller Apply/status"] != `{"f:status":{"f:replicas":{}}}` {
			t.Errorf("status %+v of %v, %v", got.Status, ownersOf(t, got), err)
		}
	})
	t.Run("left out", func(t *testing.T) {
		none := appsac.Deployment("web", "default").WithLabels(map[string]string{"a": "b"})
		if _, err := api.Apply(ctx, none, applied("labels")); err != nil {
			t.Fatal(err)
		}
		got, err := api.Apply(ctx, appsac.Deployment("web", "default"), applied("labels"))
		if err != nil || got.Labels["a"] != "" || ownersOf(t, got)["labels Apply"] != "" {
			t.Errorf("labels %v of %v, %v", got.Labels, ownersOf(t, got), err)
		}
	})
}

// applyScale owns the replicas by way of the scale. That they were defaulted counts as
// before the first apply, as with Kubernetes, so it takes force.
func applyScale(ctx context.Context, t *testing.T, clients kubernetes.Interface) {
	t.Helper()
	api := clients.AppsV1().Deployments("default")
	wanted := autoscalingac.Scale().WithName("web").WithNamespace("default").WithSpec(autoscalingac.ScaleSpec().WithReplicas(4))
	if _, err := api.ApplyScale(ctx, "web", wanted, applied("scaler")); !apierrors.IsConflict(err) ||
		!strings.Contains(err.Error(), `conflict with "before-first-apply" with subresource "scale" using autoscaling/v1`) {
		t.Errorf("without force: %v", err)
	}
	scale, err := api.ApplyScale(ctx, "web", wanted, metav1.ApplyOptions{FieldManager: "scaler", Force: true})
	if err != nil || scale.Spec.Replicas != 4 {
		t.Fatalf("scale: %+v, %v", scale, err)
	}
	got, err := api.Get(ctx, "web", metav1.GetOptions{})
	if err != nil || *got.Spec.Replicas != 4 || ownersOf(t, got)["scaler Apply/scale"] != `{"f:spec":{"f:replicas":{}}}` {
		t.Errorf("scaled: %d, %v, %v", *got.Spec.Replicas, ownersOf(t, got), err)
	}
	other := webConfiguration()
	other.Spec.WithReplicas(9)
	if _, err := api.Apply(ctx, other, applied("one")); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), ".spec.replicas") {
		t.Errorf("apply against the scale: %v", err)
	}
	scale.Spec.Replicas, scale.ManagedFields = 5, nil
	scale.ResourceVersion = ""
	if _, err := api.UpdateScale(ctx, "web", scale, metav1.UpdateOptions{FieldManager: "hand"}); err != nil {
		t.Fatal(err)
	}
	got, err = api.Get(ctx, "web", metav1.GetOptions{})
	if owners := ownersOf(t, got); err != nil || owners["hand Update/scale"] != `{"f:spec":{"f:replicas":{}}}` || owners["scaler Apply/scale"] != "" {
		t.Errorf("scaled by hand: %v, %v", owners, err)
	}
}

// TestUpdatesAreTracked has other writes than apply name who made them.
func TestUpdatesAreTracked(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	api := startServer(t).client(t, pki.AdminIdentity()).CoreV1().ConfigMaps("default")
	obj, err := api.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"x": "y"}}, Data: map[string]string{"a": "1", "b": "1"},
	}, metav1.CreateOptions{FieldManager: "creator"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ownersOf(t, obj)["creator Update"]; got != `{"f:data":{".":{},"f:a":{},"f:b":{}},"f:metadata":{"f:labels":{".":{},"f:x":{}}}}` {
		t.Errorf("created: %s", got)
	}
	obj, err = api.Patch(ctx, "a", types.MergePatchType, []byte(`{"data":{"a":"2","c":"2"}}`), metav1.PatchOptions{FieldManager: "patcher"})
	if err != nil {
		t.Fatal(err)
	}
	owners := ownersOf(t, obj)
	if owners["patcher Update"] != `{"f:data":{"f:a":{},"f:c":{}}}` || strings.Contains(owners["creator Update"], "f:a") {
		t.Errorf("patched: %v", owners)
	}
	same, err := api.Update(ctx, obj, metav1.UpdateOptions{FieldManager: "nobody"})
	if err != nil || same.ResourceVersion != obj.ResourceVersion {
		t.Errorf("an update without a change: %v, %v", ownersOf(t, same), err)
	}
	obj.Data, obj.ManagedFields = map[string]string{"b": "1"}, nil
	if obj, err = api.Update(ctx, obj, metav1.UpdateOptions{}); err != nil || len(ownersOf(t, obj)) != 1 {
		t.Errorf("removed: %v, %v", ownersOf(t, obj), err)
	}
	obj.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	if obj, err = api.Update(ctx, obj, metav1.UpdateOptions{}); err != nil || len(obj.ManagedFields) > 0 {
		t.Errorf("reset: %v, %v", obj.ManagedFields, err)
	}
	first, err := api.Apply(ctx, coreac.ConfigMap("a", "default").WithData(map[string]string{"d": "3"}), applied("applier"))
	if err != nil || ownersOf(t, first)["before-first-apply Update"] == "" {
		t.Errorf("first apply: %v, %v", ownersOf(t, first), err)
	}
}

// TestUpgrade turns what kubectl applied on its side into what the server applied.
func TestUpgrade(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	api := startServer(t).client(t, pki.AdminIdentity()).CoreV1().ConfigMaps("default")
	configuration := coreac.ConfigMap("a", "default").WithData(map[string]string{"a": "1"})
	last, err := json.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	obj, err := api.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: string(last)}}, Data: map[string]string{"a": "1"},
	}, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
	if err != nil {
		t.Fatal(err)
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(obj, sets.New("kubectl-client-side-apply"), "kubectl")
	if err != nil {
		t.Fatal(err)
	}
	if obj, err = api.Patch(ctx, "a", types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil || ownersOf(t, obj)["kubectl Apply"] == "" {
		t.Fatalf("upgraded: %v, %v", ownersOf(t, obj), err)
	}
	obj, err = api.Apply(ctx, coreac.ConfigMap("a", "default").WithData(map[string]string{"b": "2"}), applied("kubectl"))
	if err != nil || obj.Data["a"] != "" || obj.Data["b"] != "2" {
		t.Errorf("applied: %v, %v", obj.Data, err)
	}
}
