package replicaset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/services/controllermanager/internal/claim"
	"github.com/musterhq/muster/services/controllermanager/internal/lookup"
	"github.com/musterhq/muster/services/controllermanager/internal/podstate"
)

// Recorder tells the user what happened to an object.
type Recorder interface {
	Event(obj sdk.Object, eventType, reason, format string, args ...any)
}

// Controller carries out what Decide plans, for objects of one kind.
type Controller[T sdk.Object] struct {
	of      replicated[T]
	client  *sdk.Client
	events  Recorder
	sets    lookup.ByOwner[T]
	pods    lookup.ByOwner[*corev1.Pod]
	pending *pending
}

// New makes the controller of ReplicaSets; call it before the caches run.
func New(client *sdk.Client, caches *controller.Caches, events Recorder) *Controller[*appsv1.ReplicaSet] {
	return newController(replicaSets, client, caches, events)
}

// NewForReplicationControllers makes that of ReplicationControllers.
func NewForReplicationControllers(client *sdk.Client, caches *controller.Caches, events Recorder) *Controller[*corev1.ReplicationController] {
	return newController(replicationControllers, client, caches, events)
}

func newController[T sdk.Object](of replicated[T], client *sdk.Client, caches *controller.Caches, events Recorder) *Controller[T] {
	c := &Controller[T]{
		of: of, client: client, events: events, pending: newPending(),
		sets: lookup.Owners[T](caches),
		pods: lookup.Owners[*corev1.Pod](caches),
	}
	var none T
	c.sets.OnChange(func(old, new T) {
		if any(new) == any(none) {
			c.pending.drop(old.GetUID())
		}
	})
	return c
}

// Name implements controller.Controller.
func (c *Controller[T]) Name() string { return strings.ToLower(c.of.kind.Kind) }

// Inputs implements controller.Controller.
func (c *Controller[T]) Inputs() []controller.Input {
	return []controller.Input{
		controller.For(controller.Self[T]),
		controller.For(claim.Concerned[*corev1.Pod](c.of.kind.Kind, c.sets.List, c.of.selector)),
	}
}

// Outputs implements controller.Controller.
func (c *Controller[T]) Outputs() []string {
	return []string{c.of.resource + "/status", controller.Shared("pods")}
}

// Reconcile implements controller.Controller.
func (c *Controller[T]) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	object, ok := c.sets.Get(req.Namespace, req.Name)
	if !ok {
		return controller.Result{}, nil
	}
	rs := set[T]{object, c.of.set(object)}
	// A set that goes during its round was dropped before the round's last notes.
	defer c.dropGone(rs)
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		return controller.Result{}, fmt.Errorf("read selector of %s %s/%s: %w", c.of.kind.Kind, rs.Namespace, rs.Name, err)
	}
	candidates := c.pods.Candidates(rs)
	claims := claim.Sort(rs, selector, candidates)
	claims.Adopt = slices.DeleteFunc(claims.Adopt, podstate.Terminal)
	if len(claims.Adopt)+len(claims.Release) > 0 {
		// The change comes back through the cache and starts the next round.
		return controller.Result{}, c.claim(ctx, rs, claims)
	}
	now := time.Now()
	plan, err := c.plan(ctx, rs, candidates, claims.Owned, now)
	if err != nil {
		return controller.Result{}, err
	}
	reason, acted := c.act(ctx, rs, plan)
	status := plan.Status
	status.Conditions = FailureCondition(status.Conditions, reason, acted, now.Truncate(time.Second))
	// What the kind cannot hold is no difference.
	if next := c.of.withStatus(object, status); !SameStatus(c.of.set(next).Status, rs.Status) {
		if _, err := sdk.UpdateStatus(ctx, c.client, next); err != nil && !apierrors.IsNotFound(err) {
			return controller.Result{}, errors.Join(acted, err)
		}
	}
	return controller.Result{RequeueAfter: c.next(rs, plan)}, acted
}

// dropGone forgets what was asked for a set that the cache no longer has. The
// cache loses it before it is dropped for that, so one of the two is last.
func (c *Controller[T]) dropGone(rs set[T]) {
	if now, ok := c.sets.Get(rs.Namespace, rs.Name); !ok || now.GetUID() != rs.UID {
		c.pending.drop(rs.UID)
	}
}

// next is when to look again: when a pod becomes available by waiting, and when
// what was asked for should have been seen.
func (c *Controller[T]) next(rs set[T], plan Plan) time.Duration {
	after := plan.RequeueAfter
	if waiting := c.pending.waiting(rs.UID); waiting && (after == 0 || doubtAfter < after) {
		after = doubtAfter + time.Second
	}
	return after
}

// plan decides with what is known of pods that the cache does not show yet.
// candidates is what the cache showed when it was read for this round, owned
// those of it that are this set's and count.
func (c *Controller[T]) plan(ctx context.Context, rs set[T], candidates, owned []*corev1.Pod, now time.Time) (Plan, error) {
	shown := map[string]bool{}
	for _, pod := range candidates {
		shown[pod.Name] = metav1.IsControlledBy(pod, rs)
	}
	coming := 0
	for name, at := range c.pending.coming(rs.UID) {
		seen, err := shown[name], error(nil)
		if !seen {
			seen, err = c.settled(ctx, rs, name, now.Sub(at) > doubtAfter)
		}
		if err != nil {
			return Plan{}, err
		}
		if seen {
			c.pending.forget(rs.UID, name)
		} else {
			coming++
		}
	}
	active := map[types.UID]bool{}
	for _, pod := range owned {
		active[pod.UID] = pod.DeletionTimestamp == nil
	}
	going := c.pending.going(rs.UID, func(uid types.UID) bool { return active[uid] }, now)
	return Decide(Observed{
		Set: rs.ReplicaSet, Pods: owned, Related: c.related(rs), Coming: coming, Now: now,
		Going: func(pod *corev1.Pod) bool { return going[pod.UID] },
	}), nil
}

// settled says of a pod that was created, and that this round was not shown as
// the set's, whether it never will be: it is another's or nobody's by now, or
// the server knows of none. One that the cache shows as the set's came in after
// this round read the cache: it is among the round's pods no more than one on
// its way, and to forget it here would have it made twice.
func (c *Controller[T]) settled(ctx context.Context, rs set[T], name string, doubt bool) (bool, error) {
	if pod, ok := c.pods.Get(rs.Namespace, name); ok {
		return !metav1.IsControlledBy(pod, rs), nil
	}
	if !doubt {
		return false, nil
	}
	_, err := sdk.Get[*corev1.Pod](ctx, c.client, rs.Namespace, name)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}

// related counts the pods of all sets with the same owner, by node.
func (c *Controller[T]) related(rs set[T]) map[string]int {
	ref := metav1.GetControllerOfNoCopy(rs)
	if ref == nil {
		return Related(c.pods.Of(rs.UID))
	}
	var pods []*corev1.Pod
	for _, sibling := range c.sets.Of(ref.UID) {
		pods = append(pods, c.pods.Of(sibling.GetUID())...)
	}
	return Related(pods)
}

// claim takes and releases pods.
func (c *Controller[T]) claim(ctx context.Context, rs set[T], claims claim.Claims[*corev1.Pod]) error {
	if len(claims.Adopt) > 0 {
		if may, err := claim.MayAdopt(ctx, c.client, rs.object); err != nil || !may {
			return err
		}
	}
	for _, pod := range claims.Adopt {
		pod = pod.DeepCopy()
		claim.Adopted(rs, c.of.kind, pod)
		if _, err := sdk.Update(ctx, c.client, pod); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	for _, pod := range claims.Release {
		pod = pod.DeepCopy()
		claim.Released(rs, pod)
		if _, err := sdk.Update(ctx, c.client, pod); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
