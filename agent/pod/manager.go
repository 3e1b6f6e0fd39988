// Package pod runs the pods that are assigned to this node: one worker for each
// compares what the pod shall be with what the runtime has, and acts.
package pod

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"

	"github.com/musterhq/muster/agent/allocation"
	"github.com/musterhq/muster/agent/image"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/sdk"
)

// Network gives pods their addresses. Both calls can be repeated.
type Network interface {
	Attach(ctx context.Context, podUID, netnsPath string) (netip.Addr, error)
	Detach(ctx context.Context, podUID, netnsPath string) error
}

// API is what pods need of the cluster. Errors about missing objects are those
// of the Kubernetes API.
type API interface {
	// UpdateStatus writes a pod's status, also when others changed the pod since
	// its resourceVersion, and returns the new one.
	UpdateStatus(ctx context.Context, pod *corev1.Pod) (resourceVersion string, err error)
	// Delete removes a pod that has ended; only the one with this uid.
	Delete(ctx context.Context, pod *corev1.Pod) error
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	RuntimeClass(ctx context.Context, name string) (*nodev1.RuntimeClass, error)
	// RequestToken answers a request for a token of a service account.
	RequestToken(ctx context.Context, namespace, account string, request *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
}

// Services lists the cluster's services, for environment variables.
type Services interface {
	List() []*corev1.Service
}

// Events records what happens to pods.
type Events interface {
	Event(obj sdk.Object, eventType, reason, format string, args ...any)
}

// Config is what the pods of a node have in common.
type Config struct {
	NodeName string
	NodeIPs  []netip.Addr
	// Dir holds a directory for each pod, LogDir its logs.
	Dir, LogDir  string
	CgroupParent string
	// ClusterDomain and ClusterDNS go into pods' resolv.conf; without an address
	// pods get the machine's.
	ClusterDomain string
	ClusterDNS    []netip.Addr
	// Allocatable is what pods that are resized can have; it stands in for limits
	// that are not set, and its memory weighs the kernel's choice of whom to kill.
	Allocatable corev1.ResourceList
	// SELinux says that the machine's kernel runs it: options for it are refused there,
	// and mean nothing elsewhere.
	SELinux bool
	// RuntimeName prefixes container IDs: "containerd".
	RuntimeName string
	// NodeReady says whether the cluster holds this node for ready; nil: always.
	// While it does not, the pods' being called unready is left as it is.
	NodeReady func() bool
	Runtime   runtime.Runtime
	Network   Network
	API       API
	Services  Services
	Events    Events
	Logger    *slog.Logger
}

// Manager runs the workers. Set, Remove and Synced may be called before Run.
type Manager struct {
	cfg    Config
	ledger *allocation.Ledger
	crash  *image.Backoff
	synced chan struct{}
	once   sync.Once

	mu      sync.Mutex
	ctx     context.Context // Run's; nil before it
	puller  *image.Puller
	workers map[string]*worker
	wg      sync.WaitGroup
}

// resyncInterval is how often every pod is looked at although nothing was heard:
// a net under the events, not a way to learn of anything.
const resyncInterval = time.Minute

// New makes a manager; Run starts it.
func New(cfg Config) *Manager {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{
		cfg: cfg, crash: image.NewBackoff(10*time.Second, 5*time.Minute),
		synced: make(chan struct{}), workers: make(map[string]*worker),
	}
	m.ledger = allocation.New(allocation.Config{
		Dir: cfg.Dir, Allocatable: cfg.Allocatable, Granted: m.wake, Logger: cfg.Logger,
	})
	return m
}

// Set tells that a pod is assigned to this node, or has changed.
func (m *Manager) Set(pod *corev1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.worker(string(pod.UID)); w != nil {
		m.ledger.Add(pod)
		w.set(pod)
	}
}

// Reassert has every pod's status compared with the cluster's: what others said
// of the pods while this node counted as lost is no longer true.
func (m *Manager) Reassert() { m.wakeAll() }

// Remove tells that the cluster knows the pod no more.
func (m *Manager) Remove(podUID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w, ok := m.workers[podUID]; ok {
		w.vanish()
	}
}

// Synced tells that every pod of this node was Set: what else is on it may go.
func (m *Manager) Synced() {
	m.once.Do(func() {
		m.ledger.Complete()
		close(m.synced)
	})
}

// worker returns the pod's worker, a new one if need be; nil after the end of
// Run. The lock is held.
func (m *Manager) worker(uid string) *worker {
	if w, ok := m.workers[uid]; ok {
		return w
	}
	if m.ctx != nil && m.ctx.Err() != nil {
		return nil
	}
	w := newWorker(m, uid)
	m.workers[uid] = w
	if m.ctx != nil {
		m.spawn(w)
	}
	return w
}

func (m *Manager) spawn(w *worker) {
	ctx := m.ctx
	m.wg.Go(func() {
		w.run(ctx)
		m.mu.Lock()
		if m.workers[w.uid] == w {
			delete(m.workers, w.uid)
		}
		m.mu.Unlock()
		if ctx.Err() == nil { // Else its pod is there still, and takes its room.
			m.ledger.Remove(w.uid)
		}
	})
}

// Run works until ctx ends and leaves the pods running.
func (m *Manager) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	m.mu.Lock()
	m.ctx, m.puller = ctx, image.NewPuller(ctx, m.cfg.Runtime)
	for _, w := range m.workers {
		m.spawn(w)
	}
	m.mu.Unlock()
	group.Go(func() error { return m.watchRuntime(ctx) })
	group.Go(func() error { return m.resync(ctx) })
	err := group.Wait()
	m.mu.Lock()
	m.ctx = nil // No worker is added after this.
	m.mu.Unlock()
	m.wg.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// watchRuntime wakes the workers of containers that changed. The runtime may be
// away for a while: the agent waits for it.
func (m *Manager) watchRuntime(ctx context.Context) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := m.cfg.Runtime.Events(ctx, func(e runtime.Event) {
			wait = 100 * time.Millisecond
			if e.PodUID == "" {
				m.wakeAll()
				return
			}
			if !e.OOM {
				m.wake(e.PodUID)
			}
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.cfg.Logger.Warn("runtime's events interrupted", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (m *Manager) wake(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w, ok := m.workers[uid]; ok {
		w.poke()
	}
}

func (m *Manager) wakeAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.workers {
		w.poke()
	}
}
