package scheduler

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/scheduler/core"
	"github.com/musterhq/muster/services/scheduler/queue"
)

const (
	// batch is how many pods are placed before their bindings are sent.
	batch = 256
	// inFlight is how many batches may be on their way at once.
	inFlight = 4
	// sendTimeout bounds the sending of one batch of bindings or of conditions.
	sendTimeout = 10 * time.Second
)

// wake has the resting pods tried again that would fit on the node now, and
// those that a change there may let run elsewhere.
func (s *Scheduler) wake(node string) {
	if node != "" {
		s.queue.Wake(func(p *core.Pod) bool { return p.Relates() || s.cache.Fits(p, node) })
	}
}

// lead places and binds while this instance leads.
func (s *Scheduler) lead(ctx context.Context) error {
	if s.nodes.WaitSynced(ctx) != nil || s.pods.WaitSynced(ctx) != nil || s.claims.WaitSynced(ctx) != nil {
		return nil
	}
	var g errgroup.Group
	g.SetLimit(inFlight)
	for {
		items := s.queue.Pop(ctx, batch)
		if items == nil {
			return g.Wait()
		}
		placed, results, resting, refusals := s.place(items)
		if len(placed) > 0 {
			g.Go(func() error { s.bind(ctx, placed, results); return nil })
		}
		if len(resting) > 0 {
			g.Go(func() error { s.rest(ctx, resting, refusals); return nil })
		}
	}
}

// place chooses nodes and parts the pods into those that got one and the rest.
func (s *Scheduler) place(items []*queue.Item) (placed []*queue.Item, results []core.Result, resting []*queue.Item, refusals []core.Result) {
	pods := make([]*core.Pod, len(items))
	for i, it := range items {
		pods[i] = it.Pod
		it.Pod.Held = s.held(it.Pod.Object)
	}
	for i, res := range s.cache.Place(pods) {
		if res.Node != nil {
			placed, results = append(placed, items[i]), append(results, res)
			continue
		}
		resting, refusals = append(resting, items[i]), append(refusals, res)
	}
	return placed, results, resting, refusals
}

// rest tells of pods that fit nowhere and puts them aside. They are told of
// first: one that could be placed meanwhile would be bound and then said to be
// unschedulable.
func (s *Scheduler) rest(ctx context.Context, items []*queue.Item, refusals []core.Result) {
	pods := make([]*corev1.Pod, len(items))
	for i, it := range items {
		pods[i] = it.Pod.Object
	}
	s.report(ctx, pods, refusals)
	for _, it := range items {
		s.queue.Rest(it)
	}
}

// bind sends the bindings of a batch in one transaction.
func (s *Scheduler) bind(ctx context.Context, items []*queue.Item, results []core.Result) {
	// A batch that was begun is finished also when this instance is told to stop:
	// whoever leads next sees the pods bound.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	ops := make([]sdk.Operation, len(items))
	for i, it := range items {
		ops[i] = sdk.BindOp(it.Pod.Object, results[i].Node.Name)
	}
	for i, err := range s.client.TransactEach(ctx, ops...) {
		if err != nil && sdk.OutcomeUnknown(err) {
			err = s.outcome(ctx, items[i].Pod.Object, results[i].Node.Name, err)
		}
		s.bound(items[i], results[i].Node.Name, err)
	}
}

// outcome reads what became of a binding whose answer was lost.
func (s *Scheduler) outcome(ctx context.Context, pod *corev1.Pod, node string, lost error) error {
	now, err := sdk.Get[*corev1.Pod](ctx, s.client, pod.Namespace, pod.Name)
	if err == nil && now.UID == pod.UID && now.Spec.NodeName == node {
		return nil
	}
	return lost
}

func (s *Scheduler) bound(it *queue.Item, node string, err error) {
	pod := it.Pod.Object
	if err == nil {
		s.queue.Done(it)
		s.recorder.Event(pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", pod.Namespace, pod.Name, node)
		s.log.Debug("bound", "namespace", pod.Namespace, "pod", pod.Name, "node", node, "waited", time.Since(it.Since))
		return
	}
	s.cache.Forget(pod.UID)
	s.wake(node)
	s.queue.Retry(it)
	level := slog.LevelWarn
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		// Someone else bound or deleted it; the informer is about to say so.
		level = slog.LevelDebug
	}
	s.log.Log(context.Background(), level, "binding refused", "namespace", pod.Namespace, "pod", pod.Name, "node", node, "error", err)
}
