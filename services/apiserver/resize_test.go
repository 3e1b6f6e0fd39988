package apiserver_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
)

// addResizable makes a pod of a node with four cores, which is limited to 500m.
func addResizable(ctx context.Context, t *testing.T, client kubernetes.Interface) *corev1.Pod {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{
		Allocatable: corev1.ResourceList{"cpu": resource.MustParse("4"), "memory": resource.MustParse("4Gi")}}}
	if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	newNamespace(ctx, t, client, "sizes", nil)
	p := sleeper("web")
	p.Spec.NodeName = "n1"
	list := corev1.ResourceList{"cpu": resource.MustParse("500m")}
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list, Limits: list}
	p, err := client.CoreV1().Pods("sizes").Create(ctx, p, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestResize takes a pod through every way of resizing that clients have.
func TestResize(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := server.client(t, pki.AdminIdentity(), protobuf)
	pods := client.CoreV1().Pods("sizes")
	p := addResizable(ctx, t, client)
	p.Spec.Containers[0].Resources.Limits["cpu"] = resource.MustParse("600m")
	if _, err := pods.Update(ctx, p, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("by the pod itself: %v", err)
	}
	patch := func(kind types.PatchType, body string) func() (*corev1.Pod, error) {
		return func() (*corev1.Pod, error) {
			return pods.Patch(ctx, "web", kind, []byte(body), metav1.PatchOptions{FieldManager: "me", Force: force(kind)}, "resize")
		}
	}
	steps := []struct {
		name, cpu string
		do        func() (*corev1.Pod, error)
	}{
		{"update", "600m", func() (*corev1.Pod, error) { return pods.UpdateResize(ctx, "web", p, metav1.UpdateOptions{}) }},
		{"strategic merge patch", "700m", patch(types.StrategicMergePatchType, `{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","resources":{"limits":{"cpu":"700m"}}}]}}`)},
		{"JSON patch", "800m", patch(types.JSONPatchType, `[{"op":"replace","path":"/spec/containers/0/resources/limits/cpu","value":"800m"}]`)},
		{"merge patch", "900m", patch(types.MergePatchType, `{"spec":{"containers":[{"name":"main","image":"other","resources":{"requests":{"cpu":"500m"},"limits":{"cpu":"900m"}}}]}}`)},
		{"apply", "1", patch(types.ApplyPatchType, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"main","resources":{"limits":{"cpu":"1"}}}]}}`)},
		{"gRPC", "1100m", func() (*corev1.Pod, error) {
			now, err := sdk.GetSubresource[*corev1.Pod, *corev1.Pod](ctx, server.sdkClient(t), "sizes", "web", "resize")
			if err != nil {
				return nil, err
			}
			now.Spec.Containers[0].Resources.Limits["cpu"] = resource.MustParse("1100m")
			return sdk.UpdateSubresource[*corev1.Pod](ctx, server.sdkClient(t), "resize", now)
		}},
	}
	for i, step := range steps {
		got, err := step.do()
		if err != nil {
			t.Errorf("%s: %v", step.name, err)
			continue
		}
		if c := got.Spec.Containers[0]; c.Resources.Limits.Cpu().String() != step.cpu || c.Image != "busybox" || got.Labels["a"] != "" || got.Generation != int64(i+2) {
			t.Errorf("%s: generation %d, labels %v, %s", step.name, got.Generation, got.Labels, describe(c))
		}
	}
	got, err := pods.Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range got.ManagedFields {
		if m.Manager == "me" && m.Subresource != "resize" {
			t.Errorf("field manager %s of %q", m.Manager, m.Subresource)
		}
	}
}

// force is what an apply alone may say.
func force(kind types.PatchType) *bool {
	if kind != types.ApplyPatchType {
		return nil
	}
	yes := true
	return &yes
}

// TestResizeIsHeldToTheRules of the namespace and of the node.
func TestResizeIsHeldToTheRules(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := server.client(t, pki.AdminIdentity(), protobuf)
	addResizable(ctx, t, client)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"limits.cpu": resource.MustParse("2")}}}
	if _, err := client.CoreV1().ResourceQuotas("sizes").Create(ctx, quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "l"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{"cpu": resource.MustParse("6")}}}}}
	if _, err := client.CoreV1().LimitRanges("sizes").Create(ctx, limits, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ request, limit, want, cause string }{
		{"500m", "1", "", ""},
		{"500m", "2500m", `pods "web" is forbidden: exceeded quota: q, requested: limits.cpu=1500m, used: limits.cpu=1, limited: limits.cpu=2`, ""},
		{"500m", "7", `pods "web" is forbidden: maximum cpu usage per Container is 6, but limit is 7`, ""},
		{"5", "5", `pods "web" is forbidden: node didn't have enough allocatable resources: cpu, requested: 5000, allocatable: 4000`, "NodeCapacity"},
		{"600m", "2", "", ""},
	} {
		body := fmt.Sprintf(`{"spec":{"containers":[{"name":"main","resources":{"requests":{"cpu":%q},"limits":{"cpu":%q}}}]}}`, test.request, test.limit)
		_, err := client.CoreV1().Pods("sizes").Patch(ctx, "web", types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{}, "resize")
		if test.want == "" && err != nil || test.want != "" && (!apierrors.IsForbidden(err) || err.Error() != test.want) {
			t.Errorf("to %s of %s: %v, want %q", test.request, test.limit, err, test.want)
		}
		if test.cause != "" && !apierrors.HasStatusCause(err, metav1.CauseType(test.cause)) {
			t.Errorf("to %s of %s: no cause %s in %s", test.request, test.limit, test.cause, describe(err))
		}
	}
	q, err := client.CoreV1().ResourceQuotas("sizes").Get(ctx, "q", metav1.GetOptions{})
	if used := q.Status.Used["limits.cpu"]; err != nil || used.String() != "2" {
		t.Errorf("the quota counts %s, %v", used.String(), err)
	}
}
