package pod_test

import (
	"context"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/agent/runtime/fake"
)

// rig is a node with a fake runtime and a cluster that is a map.
type rig struct {
	t       *testing.T
	runtime *fake.Runtime
	dir     string
	cluster *cluster
	manager *pod.Manager
	lost    atomic.Bool // the cluster takes the node for lost
	stop    context.CancelFunc
	done    chan error
}

func newRig(t *testing.T, images ...string) *rig {
	r := &rig{t: t, runtime: fake.New(images...), dir: t.TempDir(), cluster: &cluster{
		pods: map[string]*corev1.Pod{}, maps: map[string]*corev1.ConfigMap{}, secrets: map[string]*corev1.Secret{},
		addresses: map[string]netip.Addr{},
	}}
	r.start()
	return r
}

// start runs an agent's manager, a second one after stop as after a restart.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.manager = pod.New(pod.Config{
		NodeName: "n1", NodeIPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Dir: r.dir + "/pods", LogDir: r.dir + "/logs", CgroupParent: "/test", ClusterDomain: "cluster.local",
		ClusterDNS:  []netip.Addr{netip.MustParseAddr("10.96.0.10")},
		Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi")},
		NodeReady:   func() bool { return !r.lost.Load() },
		RuntimeName: "fake", Runtime: r.runtime, Network: r.cluster, API: r.cluster, Services: r.cluster, Events: r.cluster,
	})
	r.cluster.manager = r.manager
	for _, p := range r.cluster.all() {
		r.manager.Set(p)
	}
	r.manager.Synced()
	r.stop, r.done = cancel, make(chan error, 1)
	go func() { r.done <- r.manager.Run(ctx) }()
}

func (r *rig) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// after lets virtual time pass.
func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *rig) apply(p *corev1.Pod) {
	r.cluster.put(p)
	synctest.Wait()
}

func (r *rig) pod(name string) *corev1.Pod {
	r.t.Helper()
	p := r.cluster.get(name)
	if p == nil {
		r.t.Fatalf("pod %s is gone", name)
	}
	return p
}

// main is the status of the first container.
func (r *rig) main(name string) corev1.ContainerStatus {
	r.t.Helper()
	p := r.pod(name)
	if len(p.Status.ContainerStatuses) == 0 {
		r.t.Fatalf("pod %s has no container status: %+v", name, p.Status)
	}
	return p.Status.ContainerStatuses[0]
}

func simple(name string, command ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("uid-" + name), Generation: 1},
		Spec: corev1.PodSpec{
			NodeName: "n1", RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{{Name: "main", Image: "busybox", Command: command, ImagePullPolicy: corev1.PullIfNotPresent}},
		},
	}
}

func with(p *corev1.Pod, change func(p *corev1.Pod)) *corev1.Pod {
	change(p)
	return p
}

// inBubble runs a test on a node in virtual time, ends the node and lets the
// bubble find what it left running.
func inBubble(t *testing.T, images []string, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, images...)
		defer func() { r.end() }()
		synctest.Wait()
		test(t, r)
	})
}

var busybox = []string{"busybox", "other"}

func condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// empty checks that nothing of any pod is left.
func (r *rig) empty() {
	r.t.Helper()
	pods, err := r.runtime.Pods(r.t.Context())
	if err != nil || len(pods) != 0 {
		r.t.Errorf("runtime has %+v, %v", pods, err)
	}
	if len(r.cluster.addresses) != 0 {
		r.t.Errorf("addresses %v", r.cluster.addresses)
	}
	for _, dir := range []string{"/pods", "/logs"} {
		if entries, err := os.ReadDir(r.dir + dir); err == nil && len(entries) != 0 {
			r.t.Errorf("%s has %v", dir, entries)
		}
	}
}
