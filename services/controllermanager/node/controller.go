package node

import (
	"context"
	"errors"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/controllermanager/internal/lookup"
	"github.com/musterhq/muster/services/controllermanager/internal/podstate"
)

const (
	// nodeBits is the length of a node's pod network: 256 addresses.
	nodeBits = 24
	// exhaustedInterval is how often a node without a pod network asks for one when
	// none is left.
	exhaustedInterval = 5 * time.Minute
	// disruptionRecheck is how often evictions that wait are looked at again.
	disruptionRecheck = 5 * time.Second
)

// Controller gives nodes their pod networks and taints, and takes pods off nodes
// that are gone.
type Controller struct {
	client *sdk.Client
	events Recorder
	cidr   netip.Prefix
	nodes  *informer.Informer[*corev1.Node]
	pods   lookup.ByNode

	// assigning keeps two nodes from being given the same network: whoever puts
	// its token in reads all nodes from the server before it picks one. It is no
	// mutex because one waits for the server meanwhile, and the others until
	// their context ends.
	assigning chan struct{}
}

// New makes the controller; call it before the caches run. cidr is the cluster's
// pod network; the zero prefix assigns none.
func New(client *sdk.Client, caches *controller.Caches, events Recorder, cidr netip.Prefix) *Controller {
	return &Controller{
		client: client, events: events, cidr: cidr,
		nodes: controller.Cache[*corev1.Node](caches),
		pods:  lookup.Nodes(caches),

		assigning: make(chan struct{}, 1),
	}
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "node" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	return []controller.Input{
		controller.For(controller.Self[*corev1.Node]),
		controller.For(func(pod *corev1.Pod) []controller.Request {
			if pod.Spec.NodeName == "" {
				return nil
			}
			return []controller.Request{{Name: pod.Spec.NodeName}}
		}),
	}
}

// Outputs implements controller.Controller.
func (c *Controller) Outputs() []string {
	return []string{"nodes", controller.Shared("pods"), "pods/status"}
}

// Reconcile implements controller.Controller.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	node, ok := c.nodes.Get("", req.Name)
	if !ok {
		return controller.Result{}, c.abandon(ctx, req.Name)
	}
	assigned, unassigned := c.assign(ctx, node)
	if assigned {
		// The change comes back through the cache and starts the next round.
		return controller.Result{}, nil
	}
	// A node for which no network is left has its taints all the same.
	result, err := c.tend(ctx, node)
	if errors.Is(unassigned, errExhausted) {
		if result.RequeueAfter == 0 || result.RequeueAfter > exhaustedInterval {
			result.RequeueAfter = exhaustedInterval
		}
		return result, err
	}
	return result, errors.Join(unassigned, err)
}

// tend keeps the taints of a node, and what follows from them for its pods.
func (c *Controller) tend(ctx context.Context, node *corev1.Node) (controller.Result, error) {
	now := time.Now()
	if taints := Taints(node, now.Truncate(time.Second)); !sameTaints(taints, node.Spec.Taints) {
		updated := node.DeepCopy()
		updated.Spec.Taints = taints
		// So does this one.
		_, err := sdk.Update(ctx, c.client, updated)
		return controller.Result{}, err
	}
	if readiness(node) == corev1.ConditionTrue && !evicts(node) {
		return controller.Result{}, nil
	}
	pods := c.pods.On(node.Name)
	marked := c.markNotReady(ctx, node, pods)
	wait, evicted := c.evict(ctx, node, pods, now)
	return controller.Result{RequeueAfter: wait}, errors.Join(marked, evicted)
}

// assign gives the node a pod network of its own, unless it has one.
func (c *Controller) assign(ctx context.Context, node *corev1.Node) (assigned bool, err error) {
	if node.Spec.PodCIDR != "" || !c.cidr.IsValid() || node.DeletionTimestamp != nil {
		return false, nil
	}
	if c.exhausted() {
		c.events.Event(node, corev1.EventTypeWarning, "CIDRNotAvailable", "no /%d is left in %s", nodeBits, c.cidr)
		return false, errExhausted
	}
	select {
	case c.assigning <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-c.assigning }()
	page, err := sdk.List[*corev1.Node](ctx, c.client, sdk.ListOptions{})
	if err != nil {
		return false, err
	}
	for _, n := range page.Items {
		if n.UID != node.UID || n.Spec.PodCIDR != "" {
			continue
		}
		p, err := NextCIDR(c.cidr, nodeBits, page.Items)
		if err != nil {
			c.events.Event(node, corev1.EventTypeWarning, "CIDRNotAvailable", "%v", err)
			return false, err
		}
		n.Spec.PodCIDR, n.Spec.PodCIDRs = p.String(), []string{p.String()}
		_, err = sdk.Update(ctx, c.client, n)
		return err == nil, err
	}
	return false, nil
}

// errExhausted says that every pod network is some node's.
var errExhausted = errors.New("no pod network is left")

// exhausted says so by counting, for thousands of nodes may ask again and again.
func (c *Controller) exhausted() bool {
	taken := 0
	for _, n := range c.nodes.List() {
		if n.Spec.PodCIDR != "" {
			taken++
		}
	}
	return nodeBits >= c.cidr.Bits() && taken >= 1<<(nodeBits-c.cidr.Bits())
}

// evicts says whether the node has a taint that pods may have to leave for.
func evicts(node *corev1.Node) bool {
	for _, t := range node.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoExecute {
			return true
		}
	}
	return false
}

// markNotReady says of the node's pods what is known of them: nothing good. The
// agent says otherwise when it is back.
func (c *Controller) markNotReady(ctx context.Context, node *corev1.Node, pods []*corev1.Pod) error {
	if readiness(node) == corev1.ConditionTrue {
		return nil
	}
	var errs []error
	for _, pod := range pods {
		if !podstate.Ready(pod) || podstate.Terminal(pod) {
			continue
		}
		updated := NotReady(pod, time.Now().Truncate(time.Second))
		_, err := sdk.UpdateStatus(ctx, c.client, updated)
		switch {
		case err == nil:
			c.events.Event(pod, corev1.EventTypeWarning, "NodeNotReady", "Node is not ready")
		case !apierrors.IsNotFound(err):
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// evict deletes the pods whose time on the node is over and returns when the
// next one's is.
func (c *Controller) evict(ctx context.Context, node *corev1.Node, pods []*corev1.Pod, now time.Time) (time.Duration, error) {
	disrupted := readiness(node) != corev1.ConditionTrue && Disrupted(c.nodes.List())
	var next time.Duration
	var errs []error
	for _, pod := range pods {
		at, never := EvictAt(pod, node.Spec.Taints, now)
		if never || pod.DeletionTimestamp != nil || podstate.Terminal(pod) {
			continue
		}
		left := at.Sub(now)
		if left <= 0 && disrupted {
			left = disruptionRecheck
		}
		if left > 0 {
			if next == 0 || left < next {
				next = left
			}
			continue
		}
		err := sdk.Delete[*corev1.Pod](ctx, c.client, pod.Namespace, pod.Name, sdk.DeleteOptions{UID: pod.UID})
		switch {
		case err == nil:
			c.events.Event(pod, corev1.EventTypeNormal, "TaintManagerEviction", "Marking for deletion Pod %s/%s", pod.Namespace, pod.Name)
		case !apierrors.IsNotFound(err) && !apierrors.IsConflict(err):
			errs = append(errs, err)
		}
	}
	return next, errors.Join(errs...)
}

// abandon removes the pods of a node that was deleted: no agent is left to say
// that they have ended.
func (c *Controller) abandon(ctx context.Context, name string) error {
	pods := c.pods.On(name)
	if len(pods) == 0 {
		return nil
	}
	if _, err := sdk.Get[*corev1.Node](ctx, c.client, "", name); !apierrors.IsNotFound(err) {
		return err
	}
	var errs []error
	for _, pod := range pods {
		err := sdk.Delete[*corev1.Pod](ctx, c.client, pod.Namespace, pod.Name,
			sdk.DeleteOptions{UID: pod.UID, GracePeriodSeconds: ptr.To(int64(0))})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
