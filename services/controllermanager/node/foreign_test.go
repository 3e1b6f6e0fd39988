package node_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/sdktest"
	"github.com/musterhq/muster/services/controllermanager/node"
)

// abroad runs a test with a node that has no agent of Muster's, and a monitor.
func abroad(t *testing.T, n *corev1.Node, test func(t *testing.T, client *sdk.Client, condition func(corev1.NodeConditionType) string)) {
	synctest.Test(t, func(t *testing.T) {
		client := sdktest.New(t).Client(t)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		caches := controller.NewCaches(controller.CachesConfig{Client: client})
		nobody := &node.Prober{Dial: func(context.Context, string) (net.Conn, error) { return nil, errors.New("nobody answers") }}
		m := node.NewMonitor(client, caches, deaf{}, nobody, slog.New(slog.DiscardHandler))
		n.Name = "n1"
		if _, err := sdk.Create(ctx, client, n); err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = caches.Run(ctx) })
		running.Go(func() { _ = m.Run(ctx) })
		test(t, client, func(kind corev1.NodeConditionType) string {
			got, err := sdk.Get[*corev1.Node](ctx, client, "", "n1")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range got.Status.Conditions {
				if c.Type == kind {
					return string(c.Status) + " " + c.Reason
				}
			}
			return ""
		})
	})
}

func TestForeignNodeIsJudgedByItsLease(t *testing.T) {
	abroad(t, withReady(corev1.ConditionTrue), func(t *testing.T, client *sdk.Client, condition func(corev1.NodeConditionType) string) {
		lease, err := sdk.Create(t.Context(), client, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: "n1"}})
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			time.Sleep(10 * time.Second)
			if got := condition(corev1.NodeReady); got != "True " {
				t.Fatalf("with a lease that is renewed: %q", got)
			}
			lease.Spec.RenewTime = &metav1.MicroTime{Time: time.Now()}
			if lease, err = sdk.Update(t.Context(), client, lease); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(49 * time.Second)
		if got := condition(corev1.NodeReady); got != "True " {
			t.Errorf("before it is silent for long: %q", got)
		}
		time.Sleep(12 * time.Second)
		for _, kind := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeDiskPressure} {
			if got := condition(kind); got != "Unknown NodeStatusUnknown" {
				t.Errorf("%s of a node that is silent: %q", kind, got)
			}
		}
	})
}

func TestForeignNodeThatNeverSpoke(t *testing.T) {
	abroad(t, &corev1.Node{}, func(t *testing.T, _ *sdk.Client, condition func(corev1.NodeConditionType) string) {
		time.Sleep(59 * time.Second)
		if got := condition(corev1.NodeReady); got != "" {
			t.Errorf("at first: %q", got)
		}
		time.Sleep(12 * time.Second)
		if got := condition(corev1.NodeReady); got != "Unknown NodeStatusNeverUpdated" {
			t.Errorf("later: %q", got)
		}
	})
}
