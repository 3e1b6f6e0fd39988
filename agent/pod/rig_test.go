package pod_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/agent/runtime/fake"
	"github.com/musterhq/muster/sdk"
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

// cluster is the API, the network and the recorder.
type cluster struct {
	mu        sync.Mutex
	manager   *pod.Manager
	pods      map[string]*corev1.Pod
	maps      map[string]*corev1.ConfigMap
	secrets   map[string]*corev1.Secret
	services  []*corev1.Service
	addresses map[string]netip.Addr
	next      byte
	writes    int
	events    []string
	down      bool
	onDelete  func(p *corev1.Pod)
}

func (c *cluster) put(p *corev1.Pod) {
	c.mu.Lock()
	c.pods[p.Name] = p.DeepCopy()
	c.mu.Unlock()
	c.manager.Set(p.DeepCopy())
}

func (c *cluster) get(name string) *corev1.Pod {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pods[name].DeepCopy()
}

func (c *cluster) all() []*corev1.Pod {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*corev1.Pod
	for _, p := range c.pods {
		out = append(out, p.DeepCopy())
	}
	return out
}

// remove begins a graceful deletion, as the API server does.
func (c *cluster) remove(name string, grace int64) {
	p := c.get(name)
	now := metav1.Now()
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &now, &grace
	p.Generation++
	c.put(p)
}

func (c *cluster) UpdateStatus(_ context.Context, p *corev1.Pod) (string, error) {
	c.mu.Lock()
	if c.down {
		c.mu.Unlock()
		return "", fmt.Errorf("the cluster is away")
	}
	stored, ok := c.pods[p.Name]
	if !ok {
		c.mu.Unlock()
		return "", apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, p.Name)
	}
	stored.Status = *p.Status.DeepCopy()
	c.writes++
	now := stored.DeepCopy()
	c.mu.Unlock()
	c.manager.Set(now)
	return "", nil
}

func (c *cluster) Delete(_ context.Context, p *corev1.Pod) error {
	c.mu.Lock()
	if c.onDelete != nil && c.pods[p.Name] != nil {
		c.onDelete(c.pods[p.Name])
	}
	delete(c.pods, p.Name)
	c.mu.Unlock()
	c.manager.Remove(string(p.UID))
	return nil
}

func (c *cluster) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, ok := c.maps[name]; ok {
		return m, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
}

func (c *cluster) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.secrets[name]; ok {
		return s, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

func (c *cluster) List() []*corev1.Service { return c.services }

func (c *cluster) Attach(_ context.Context, uid, _ string) (netip.Addr, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.addresses[uid]; ok {
		return a, nil
	}
	c.next++
	c.addresses[uid] = netip.AddrFrom4([4]byte{10, 244, 0, c.next})
	return c.addresses[uid], nil
}

func (c *cluster) Detach(_ context.Context, uid, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.addresses, uid)
	return nil
}

func (c *cluster) Event(_ sdk.Object, _, reason, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, reason+": "+fmt.Sprintf(format, args...))
}

// said counts the events that contain a text.
func (c *cluster) said(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, e := range c.events {
		if strings.Contains(e, text) {
			n++
		}
	}
	return n
}

func (c *cluster) written() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}
