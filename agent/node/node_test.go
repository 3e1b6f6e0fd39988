package node_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/agent/node"
	"github.com/musterhq/muster/internal/version"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a cluster with the registrar of a node n1.
type rig struct {
	*testing.T
	cluster   *sdktest.Cluster
	client    *sdk.Client
	registrar *node.Registrar
	pressure  node.Pressure // that the machine is under
}

func inBubble(t *testing.T, test func(r *rig)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		client := cluster.Client(t)
		r := &rig{T: t, cluster: cluster, client: client}
		registrar, err := node.New(node.Config{
			Client: client, Name: "n1", IP: netip.MustParseAddr("192.0.2.1"), Port: 10250, DataDir: dir,
			Labels:         map[string]string{"zone": "a"},
			RuntimeVersion: func(context.Context) (string, error) { return "fake://1", nil },
			Measure:        func(string) (node.Pressure, error) { return r.pressure, nil },
			Logger:         slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		r.registrar = registrar
		test(r)
	})
}

func (r *rig) register() {
	r.Helper()
	if err := r.registrar.Register(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// run keeps the node current until the test ends.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan error, 1)
	go func() { done <- r.registrar.Run(ctx) }()
	r.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.Errorf("Run: %v", err)
		}
	})
}

func (r *rig) node() *corev1.Node {
	r.Helper()
	n, err := sdk.Get[*corev1.Node](r.Context(), r.client, "", "n1")
	if err != nil {
		r.Fatal(err)
	}
	return n
}

// condition returns "Status Reason" of one of the node's conditions.
func condition(n *corev1.Node, kind corev1.NodeConditionType) string {
	for _, c := range n.Status.Conditions {
		if c.Type == kind {
			return string(c.Status) + " " + c.Reason
		}
	}
	return ""
}

func TestRegister(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.register()
		n := r.node()
		if n.Labels["zone"] != "a" || n.Labels[corev1.LabelHostname] != "n1" || n.Labels[corev1.LabelOSStable] != "linux" {
			r.Errorf("labels %v", n.Labels)
		}
		s := n.Status
		if s.Capacity.Cpu().IsZero() || s.Capacity.Memory().IsZero() || s.Capacity.StorageEphemeral().IsZero() || s.Allocatable.Pods().Value() != 110 {
			r.Errorf("capacity %v, allocatable %v", s.Capacity, s.Allocatable)
		}
		if len(s.Addresses) != 2 || s.Addresses[0].Address != "192.0.2.1" || s.DaemonEndpoints.KubeletEndpoint.Port != 10250 {
			r.Errorf("addresses %v, port %v", s.Addresses, s.DaemonEndpoints)
		}
		if s.NodeInfo.ContainerRuntimeVersion != "fake://1" || s.NodeInfo.KubeletVersion != version.Kubernetes(version.Version) {
			r.Errorf("info %+v", s.NodeInfo)
		}
		if got := condition(n, corev1.NodeReady); got != "False Starting" {
			r.Errorf("Ready is %q", got)
		}
		for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
			if condition(n, kind) == "" {
				r.Errorf("nothing is said of %s", kind)
			}
		}
	})
}

// TestRegisterTakesOver has a Node that the agent before it made and that others
// wrote to since.
func TestRegisterTakesOver(t *testing.T) {
	inBubble(t, func(r *rig) {
		before := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"mine": "yes", "zone": "old"}},
			Spec:   corev1.NodeSpec{PodCIDR: "10.244.3.0/24", Unschedulable: true},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}}}
		if _, err := sdk.Create(r.Context(), r.client, before); err != nil {
			r.Fatal(err)
		}
		r.register()
		n := r.node()
		if n.Labels["mine"] != "yes" || n.Labels["zone"] != "a" || n.Spec.PodCIDR != "10.244.3.0/24" || !n.Spec.Unschedulable {
			r.Errorf("labels %v, spec %+v", n.Labels, n.Spec)
		}
		if got := condition(n, corev1.NodeReady); got != "True KubeletReady" {
			r.Errorf("Ready is %q, and is the node controller's to say", got)
		}
	})
}

func TestRegisterTriesUntilCtxEnds(t *testing.T) {
	inBubble(t, func(r *rig) {
		away := true
		r.cluster.Fail(func(string, any) error {
			if away {
				return status.Error(codes.ResourceExhausted, "not now")
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		if err := r.registrar.Register(ctx); !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("without a cluster: %v, want the deadline's error", err)
		}
		away = false
		r.register()
		r.node()
	})
}

func TestDeletedNodeIsRegisteredAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.register()
		r.run()
		first := r.node()
		if err := sdk.Delete[*corev1.Node](r.Context(), r.client, "", "n1", sdk.DeleteOptions{}); err != nil {
			r.Fatal(err)
		}
		r.registrar.Lost("10.244.3.0/24")
		r.registrar.Lost("10.244.3.0/24") // Does not block.
		time.Sleep(time.Second)
		n := r.node()
		if n.UID == first.UID || n.Spec.PodCIDR != "10.244.3.0/24" || condition(n, corev1.NodeReady) != "False Starting" {
			r.Errorf("same %v, pod CIDR %q, Ready %q", n.UID == first.UID, n.Spec.PodCIDR, condition(n, corev1.NodeReady))
		}
	})
}

// What the agent wrote at its start stays when a condition changes.
func TestPressure(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.register()
		r.run()
		before := r.node().Status
		for under, want := range map[bool]string{true: "True KubeletHasDiskPressure", false: "False KubeletHasNoDiskPressure"} {
			r.pressure.Disk = under
			time.Sleep(time.Minute)
			after := r.node().Status
			if got := condition(r.node(), corev1.NodeDiskPressure); got != want {
				r.Errorf("DiskPressure is %q, want %q", got, want)
			}
			after.Conditions = before.Conditions
			if !equality.Semantic.DeepEqual(after, before) {
				r.Errorf("status %+v, was %+v", after, before)
			}
		}
	})
}

func TestLeaseIsRenewed(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.register()
		r.run()
		lease := func() *coordinationv1.Lease {
			l, err := sdk.Get[*coordinationv1.Lease](r.Context(), r.client, corev1.NamespaceNodeLease, "n1")
			if err != nil {
				r.Fatal(err)
			}
			return l
		}
		time.Sleep(time.Second)
		first := lease()
		if *first.Spec.HolderIdentity != "n1" || len(first.OwnerReferences) != 1 || first.OwnerReferences[0].UID != r.node().UID {
			r.Errorf("lease %+v of %v", first.Spec, first.OwnerReferences)
		}
		renewals := 0
		for at := first.Spec.RenewTime.Time; renewals < 100 && time.Since(first.Spec.RenewTime.Time) < time.Hour; time.Sleep(time.Minute) {
			if now := lease().Spec.RenewTime.Time; now.After(at) {
				at, renewals = now, renewals+1
			}
			if life := time.Duration(*first.Spec.LeaseDurationSeconds) * time.Second; time.Since(at) > life {
				r.Fatalf("expired: renewed at %s, it is %s", at, time.Now())
			}
		}
		if renewals < 2 || renewals > 20 {
			r.Errorf("renewed %d times in an hour; it goes through consensus each time", renewals)
		}
	})
}
