package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func configMap(name string, data ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{}}
	for i := 0; i+1 < len(data); i += 2 {
		cm.Data[data[i]] = data[i+1]
	}
	return cm
}

func TestTypeName(t *testing.T) {
	for want, obj := range map[string]any{
		"k8s.io.api.core.v1.Pod":                              &corev1.Pod{},
		"k8s.io.api.apps.v1.Deployment":                       appsv1.Deployment{},
		"k8s.io.apimachinery.pkg.apis.meta.v1.Status":         &metav1.Status{},
		"k8s.io.apimachinery.pkg.apis.meta.v1.OwnerReference": &metav1.OwnerReference{},
		"": nil,
	} {
		if got := sdk.TypeName(obj); got != want {
			t.Errorf("TypeName(%T) = %q, want %q", obj, got, want)
		}
	}
}

func TestDecodeRefusesAnotherType(t *testing.T) {
	a, err := sdk.Encode(configMap("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sdk.Decode[*corev1.Pod](a); err == nil {
		t.Error("a ConfigMap was decoded as a Pod")
	}
	if got, err := sdk.Decode[*corev1.ConfigMap](a); err != nil || got.Name != "a" {
		t.Errorf("decoded %v, %v", got, err)
	}
	var none *corev1.Pod
	if _, err := sdk.Encode(none); err == nil {
		t.Error("a nil object was encoded")
	}
}

func TestVerbs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, c := t.Context(), sdktest.New(t).Client(t)
		made, err := sdk.Create(ctx, c, configMap("a", "k", "1"))
		if err != nil || made.UID == "" || made.ResourceVersion == "" {
			t.Fatalf("create: %v, %v", made, err)
		}
		if _, err := sdk.Create(ctx, c, configMap("a")); !apierrors.IsAlreadyExists(err) {
			t.Errorf("create again: %v, want AlreadyExists", err)
		}
		change := made.DeepCopy()
		change.Data["k"] = "2"
		if _, err := sdk.Update(ctx, c, change); err != nil {
			t.Fatal(err)
		}
		if _, err := sdk.Update(ctx, c, change); !apierrors.IsConflict(err) {
			t.Errorf("update of an old version: %v, want Conflict", err)
		}
		patched, err := sdk.MergePatch[*corev1.ConfigMap](ctx, c, "default", "a", "", map[string]any{"data": map[string]any{"k": nil, "l": "3"}})
		if err != nil || fmt.Sprint(patched.Data) != "map[l:3]" {
			t.Errorf("patched %v, %v", patched.Data, err)
		}
		if _, err := sdk.Patch[*corev1.ConfigMap](ctx, c, "default", "a", "", types.ApplyPatchType, nil); err == nil {
			t.Error("an apply patch was sent")
		}
		for i := range 4 {
			if _, err := sdk.Create(ctx, c, configMap(fmt.Sprintf("p%d", i))); err != nil {
				t.Fatal(err)
			}
		}
		first, err := sdk.List[*corev1.ConfigMap](ctx, c, sdk.ListOptions{Namespace: "default", Limit: 3})
		if err != nil || len(first.Items) != 3 || first.Remaining != 2 {
			t.Fatalf("first page: %+v, %v", first, err)
		}
		second, err := sdk.List[*corev1.ConfigMap](ctx, c, sdk.ListOptions{Namespace: "default", Limit: 3, Continue: first.Continue})
		if err != nil || len(second.Items) != 2 || second.Continue != "" {
			t.Fatalf("second page: %+v, %v", second, err)
		}
		if err := sdk.Delete[*corev1.ConfigMap](ctx, c, "default", "a", sdk.DeleteOptions{UID: "another"}); !apierrors.IsConflict(err) {
			t.Errorf("delete of another uid: %v, want Conflict", err)
		}
		if err := sdk.Delete[*corev1.ConfigMap](ctx, c, "default", "a", sdk.DeleteOptions{UID: made.UID}); err != nil {
			t.Error(err)
		}
		_, err = sdk.Get[*corev1.ConfigMap](ctx, c, "default", "a")
		if !apierrors.IsNotFound(err) || err.Error() != `configmaps "a" not found` {
			t.Errorf("get after delete: %v", err)
		}
	})
}

func TestUpdateStatusLeavesSpec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, c := t.Context(), sdktest.New(t).Client(t)
		pod, err := sdk.Create(ctx, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}})
		if err != nil {
			t.Fatal(err)
		}
		pod.Spec.NodeName, pod.Status.Phase = "n1", corev1.PodRunning
		got, err := sdk.UpdateStatus(ctx, c, pod)
		if err != nil || got.Spec.NodeName != "" || got.Status.Phase != corev1.PodRunning {
			t.Errorf("after UpdateStatus: node %q phase %q, %v", got.Spec.NodeName, got.Status.Phase, err)
		}
	})
}

func TestTransactIsAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, c := t.Context(), sdktest.New(t).Client(t)
		if _, err := sdk.Create(ctx, c, configMap("taken")); err != nil {
			t.Fatal(err)
		}
		_, err := c.Transact(ctx, sdk.CreateOp(configMap("x")), sdk.CreateOp(configMap("taken")), sdk.CreateOp(configMap("y")))
		if i, ok := sdk.RefusedOperation(err); !apierrors.IsAlreadyExists(err) || !ok || i != 1 {
			t.Errorf("transact: %v, refused operation %d %v; want AlreadyExists of 1", err, i, ok)
		}
		if _, err := sdk.Get[*corev1.ConfigMap](ctx, c, "default", "x"); !apierrors.IsNotFound(err) {
			t.Errorf("half of a refused transaction was done: %v", err)
		}
		objects, err := c.Transact(ctx,
			sdk.CreateOp(configMap("x")),
			sdk.PatchOp[*corev1.ConfigMap]("default", "taken", "", types.MergePatchType, []byte(`{"data":{"k":"v"}}`)))
		if err != nil || len(objects) != 2 {
			t.Fatalf("transact: %d objects, %v", len(objects), err)
		}
		if cm, err := sdk.Decode[*corev1.ConfigMap](objects[1]); err != nil || cm.Data["k"] != "v" {
			t.Errorf("patched in a transaction: %v, %v", cm, err)
		}
		var none *corev1.Pod
		if _, err := c.Transact(ctx, sdk.CreateOp(none)); err == nil {
			t.Error("a nil object was sent")
		}
	})
}

func TestErrorClasses(t *testing.T) {
	gr := corev1.Resource("pods")
	for _, tc := range []struct {
		name               string
		err                error
		retryable, unknown bool
	}{
		{"nil", nil, false, false},
		{"not found", apierrors.NewNotFound(gr, "a"), false, false},
		{"conflict", apierrors.NewConflict(gr, "a", errors.New("x")), false, false},
		{"too many requests", apierrors.NewTooManyRequests("slow", 1), true, false},
		{"no room", &apierrors.StatusError{ErrStatus: metav1.Status{Code: 507, Reason: "InsufficientStorage"}}, true, false},
		{"server timeout", apierrors.NewServerTimeout(gr, "create", 1), true, true},
		{"unavailable", status.Error(codes.Unavailable, "gone"), true, true},
		{"wrapped", fmt.Errorf("create: %w", status.Error(codes.Unavailable, "gone")), true, true},
		{"deadline", context.DeadlineExceeded, false, true},
		{"denied", status.Error(codes.PermissionDenied, "no"), false, false},
	} {
		if got := sdk.IsRetryable(tc.err); got != tc.retryable {
			t.Errorf("%s: IsRetryable %v", tc.name, got)
		}
		if got := sdk.OutcomeUnknown(tc.err); got != tc.unknown {
			t.Errorf("%s: OutcomeUnknown %v", tc.name, got)
		}
	}
}

func TestReadsOutliveAServer(t *testing.T) {
	for _, how := range []struct {
		name   string
		within time.Duration
		end    func(*sdktest.Cluster, string)
	}{
		{"killed", 500 * time.Millisecond, (*sdktest.Cluster).Stop},
		{"silent", 1750 * time.Millisecond, (*sdktest.Cluster).Freeze},
		{"without its fellows", 11 * time.Second, (*sdktest.Cluster).Stall},
	} {
		t.Run(how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := sdktest.New(t, "s1", "s2", "s3")
				ctx, c := t.Context(), cluster.Client(t)
				if _, err := sdk.Create(ctx, c, configMap("a")); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					begun, used := time.Now(), c.Server()
					how.end(cluster, used)
					if _, err := sdk.Get[*corev1.ConfigMap](ctx, c, "default", "a"); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(begun); took > how.within {
						t.Errorf("the read took %s", took)
					}
					if c.Server() == used {
						t.Errorf("%s is still in use", used)
					}
				}
			})
		})
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		c := cluster.Client(t, func(cfg *sdk.Config) { cfg.CallTimeout = 3 * time.Second })
		cluster.Stop("s1")
		begun := time.Now()
		_, err := sdk.Get[*corev1.ConfigMap](t.Context(), c, "default", "a")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// TestServerThatStopsGivesCallsUp has a server end a call by itself; the read
// goes on, and nobody takes it for the end of the caller's own context.
func TestServerThatStopsGivesCallsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		c, calls := cluster.Client(t), 0
		cluster.Fail(func(method string, _ any) error {
			if calls++; calls%2 == 1 {
				return status.Error(codes.Canceled, "stopping")
			}
			return nil
		})
		if _, err := sdk.Get[*corev1.ConfigMap](t.Context(), c, "default", "a"); !apierrors.IsNotFound(err) || calls != 2 {
			t.Errorf("after %d calls: %v", calls, err)
		}
		_, err := sdk.Create(t.Context(), c, configMap("a"))
		if errors.Is(err, context.Canceled) || !sdk.OutcomeUnknown(err) {
			t.Errorf("create: %v", err)
		}
		w := sdk.Watch[*corev1.ConfigMap](t.Context(), c, sdk.WatchOptions{ResourceVersion: "0"})
		defer w.Stop()
		for _, err := sdk.Create(t.Context(), c, configMap("a")); err != nil; _, err = sdk.Create(t.Context(), c, configMap("a")) {
		}
		if events, err := w.Next(); err != nil || len(events) != 1 {
			t.Errorf("watch: %v, %v", events, err)
		}
	})
}

func TestWatchResumesOnAnotherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t, "s1", "s2")
		ctx, c := t.Context(), cluster.Client(t)
		w := sdk.Watch[*corev1.ConfigMap](ctx, c, sdk.WatchOptions{SendInitialEvents: true})
		defer w.Stop()
		if events, err := w.Next(); err != nil || !events[len(events)-1].InitialEventsEnd {
			t.Fatalf("initial events: %v, %v", events, err)
		}
		for i := range 3 {
			if i == 1 {
				cluster.Stop(c.Server())
			}
			name := fmt.Sprintf("cm%d", i)
			// A write right after the kill may be lost on the way.
			for _, err := sdk.Create(ctx, c, configMap(name)); err != nil; _, err = sdk.Create(ctx, c, configMap(name)) {
				if !sdk.OutcomeUnknown(err) {
					t.Fatal(err)
				}
			}
			events, err := w.Next()
			if err != nil || len(events) != 1 || events[0].Type != sdk.Added || events[0].Object.Name != name {
				t.Fatalf("event %d: %v, %v", i, events, err)
			}
		}
	})
}

func TestWatchExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		ctx, c := t.Context(), cluster.Client(t)
		made, err := sdk.Create(ctx, c, configMap("a"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sdk.Create(ctx, c, configMap("b")); err != nil {
			t.Fatal(err)
		}
		cluster.Compact()
		w := sdk.Watch[*corev1.ConfigMap](ctx, c, sdk.WatchOptions{ResourceVersion: made.ResourceVersion})
		defer w.Stop()
		if _, err := w.Next(); !sdk.IsExpired(err) {
			t.Errorf("watch from a forgotten revision: %v, want Expired", err)
		}
	})
}
