package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"runtime"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/internal/version"
	"github.com/musterhq/muster/sdk"
)

// measureInterval is how often pressure is measured.
const measureInterval = 10 * time.Second

// attemptTimeout bounds one try to register.
const attemptTimeout = 5 * time.Second

// Config says what is not to be found on the machine itself.
type Config struct {
	Client  *sdk.Client
	Name    string
	IP      netip.Addr
	Port    int // of the AgentService
	DataDir string
	Labels  map[string]string
	// RuntimeVersion such as containerd://1.6.20; asked again as long as it fails.
	RuntimeVersion func(ctx context.Context) (string, error)
	// Measure says what the machine runs short of; nil measures it.
	Measure func(dataDir string) (Pressure, error)
	Logger  *slog.Logger
}

// Registrar creates the Node and keeps what the agent owns of it current: all
// but Ready, which the node controller judges.
type Registrar struct {
	cfg      Config
	capacity corev1.ResourceList
	since    map[corev1.NodeConditionType]metav1.Condition
	uid      types.UID // of the Node
	lost     chan struct{}

	mu      sync.Mutex
	podCIDR string
}

// New measures the machine.
func New(cfg Config) (*Registrar, error) {
	if cfg.Measure == nil {
		cfg.Measure = measure
	}
	c, err := capacity(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("describe node %s: %w", cfg.Name, err)
	}
	return &Registrar{cfg: cfg, capacity: c, since: map[corev1.NodeConditionType]metav1.Condition{}, lost: make(chan struct{}, 1)}, nil
}

// Lost tells that somebody deleted the Node: Run registers it again. podCIDR is
// the range that the node's pods have and that the new Node is to have; empty
// when there is none, or another node has it by now. It does not block.
func (r *Registrar) Lost(podCIDR string) {
	r.mu.Lock()
	r.podCIDR = podCIDR
	r.mu.Unlock()
	select {
	case r.lost <- struct{}{}:
	default:
	}
}

// Capacity of this node, all of it allocatable.
func (r *Registrar) Capacity() corev1.ResourceList { return r.capacity }

// Register creates the Node, or takes over the one that is there, and tries
// until it succeeds or ctx ends.
func (r *Registrar) Register(ctx context.Context) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := r.attempt(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		r.cfg.Logger.Warn("node is not registered yet, trying again", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// attempt is bounded, so that who waits for servers that do not answer is told.
func (r *Registrar) attempt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return r.register(ctx)
}

func (r *Registrar) register(ctx context.Context) error {
	r.mu.Lock()
	podCIDR := r.podCIDR
	r.mu.Unlock()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: r.cfg.Name, Labels: r.labels()}, Spec: corev1.NodeSpec{PodCIDR: podCIDR}}
	stored, err := sdk.Create(ctx, r.cfg.Client, n)
	if apierrors.IsAlreadyExists(err) {
		stored, err = sdk.MergePatch[*corev1.Node](ctx, r.cfg.Client, "", r.cfg.Name, "", map[string]any{
			"metadata": map[string]any{"labels": r.labels()},
		})
	}
	if err != nil {
		return err
	}
	r.uid = stored.UID
	status, err := r.status(ctx)
	if err != nil {
		return err
	}
	if ready(stored) == nil {
		now := metav1.Now()
		status.Conditions = append(status.Conditions, corev1.NodeCondition{
			Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "Starting",
			Message: "The agent is starting", LastHeartbeatTime: now, LastTransitionTime: now,
		})
	}
	return r.patch(ctx, status)
}

func ready(n *corev1.Node) *corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == corev1.NodeReady {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

func (r *Registrar) labels() map[string]string {
	labels := map[string]string{
		corev1.LabelHostname:   r.cfg.Name,
		corev1.LabelOSStable:   "linux",
		corev1.LabelArchStable: runtime.GOARCH,
	}
	maps.Copy(labels, r.cfg.Labels)
	return labels
}

func (r *Registrar) status(ctx context.Context) (corev1.NodeStatus, error) {
	rv, err := r.cfg.RuntimeVersion(ctx)
	if err != nil {
		return corev1.NodeStatus{}, err
	}
	conditions, err := r.conditions()
	if err != nil {
		return corev1.NodeStatus{}, err
	}
	return corev1.NodeStatus{
		Capacity: r.capacity, Allocatable: r.capacity, Conditions: conditions,
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: r.cfg.IP.String()},
			{Type: corev1.NodeHostName, Address: r.cfg.Name},
		},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(r.cfg.Port)}},
		NodeInfo: corev1.NodeSystemInfo{
			MachineID: firstLine("/etc/machine-id"), SystemUUID: firstLine("/sys/class/dmi/id/product_uuid"),
			BootID: BootID(), KernelVersion: kernelVersion(), OSImage: osImage(), ContainerRuntimeVersion: rv,
			KubeletVersion: version.Kubernetes(version.Version), KubeProxyVersion: "", OperatingSystem: "linux", Architecture: runtime.GOARCH,
		},
	}, nil
}

// Run writes the conditions when one changed and renews the node's Lease, until
// ctx ends. It registers the node again when the Node was lost.
func (r *Registrar) Run(ctx context.Context) error {
	written := map[corev1.NodeConditionType]metav1.ConditionStatus{}
	for kind, c := range r.since {
		written[kind] = c.Status
	}
	tick := time.NewTicker(measureInterval)
	defer tick.Stop()
	renewal := time.NewTimer(0)
	defer renewal.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.lost:
			r.cfg.Logger.Warn("the node was deleted while its agent runs; it is registered again")
			if err := r.Register(ctx); err != nil {
				return nil //nolint:nilerr // It tries until ctx ends.
			}
			// Not at once: the Lease of the Node before is being collected.
			renewal.Reset(measureInterval)
			continue
		case <-renewal.C:
			wait := renewInterval
			if err := r.renew(ctx); err != nil {
				r.cfg.Logger.Warn("keep lease", "error", err)
				wait = measureInterval
			}
			renewal.Reset(wait)
			continue
		case <-tick.C:
		}
		conditions, err := r.conditions()
		if err != nil { // Its pods run on, whatever a measurement says.
			r.cfg.Logger.Warn("measure node", "error", err)
			continue
		}
		changed := false
		for _, c := range conditions {
			changed = changed || string(written[c.Type]) != string(c.Status)
		}
		if !changed {
			continue
		}
		if err := r.patch(ctx, map[string]any{"conditions": conditions}); err != nil {
			r.cfg.Logger.Warn("write node conditions", "error", err)
			continue
		}
		for _, c := range conditions {
			written[c.Type] = metav1.ConditionStatus(c.Status)
		}
	}
}
