package pod_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/sdk"
)

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

// RuntimeClass has a class for every handler, of its name.
func (c *cluster) RuntimeClass(_ context.Context, name string) (*nodev1.RuntimeClass, error) {
	return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: name}, nil
}

func (c *cluster) RequestToken(context.Context, string, string, *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	return nil, apierrors.NewServiceUnavailable("no tokens here")
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
