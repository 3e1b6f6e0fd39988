// Package queue orders the pods that wait for a node: by priority, then by how
// long they have waited. A pod that found none rests until something happens
// that could help it.
package queue

import (
	"cmp"
	"container/heap"
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	helpers "k8s.io/component-helpers/scheduling/corev1"

	"github.com/musterhq/muster/services/scheduler/core"
)

const (
	// restLimit is when a resting pod is tried again though nothing that could
	// help it was seen; Kubernetes waits as long.
	restLimit = 5 * time.Minute
	// reviewDelay gathers the changes of nodes that come together, and bounds how
	// often all resting pods are tried.
	reviewDelay = 30 * time.Second

	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// Item is a pod that waits.
type Item struct {
	// Pod to place.
	Pod *core.Pod
	// Since when it waits.
	Since time.Time

	failures int
	wakes    uint64    // the queue's count of wakes when it was popped
	readyAt  time.Time // for the waiting heap
	resting  bool      // waits for a wake rather than for the time
	where    *pile     // nil while popped
	index    int
	gone     bool        // deleted while popped
	changed  bool        // its spec changed while popped
	next     *corev1.Pod // what it became while popped
}

// Queue holds the pods. Its methods may be called from any goroutine.
type Queue struct {
	mu       sync.Mutex
	items    map[types.UID]*Item
	active   pile
	waiting  pile
	wakes    uint64
	relating int // items whose pods demand something of others
	notify   chan struct{}
}

// New returns an empty queue.
func New() *Queue {
	return &Queue{
		items:   map[types.UID]*Item{},
		active:  pile{less: sooner},
		waiting: pile{less: func(a, b *Item) bool { return a.readyAt.Before(b.readyAt) }},
		notify:  make(chan struct{}, 1),
	}
}

// sooner orders what is to be placed.
func sooner(a, b *Item) bool {
	return cmp.Or(
		cmp.Compare(helpers.PodPriority(b.Pod.Object), helpers.PodPriority(a.Pod.Object)),
		a.Since.Compare(b.Since),
		cmp.Compare(a.Pod.Object.Namespace, b.Pod.Object.Namespace),
		cmp.Compare(a.Pod.Object.Name, b.Pod.Object.Name),
	) < 0
}

// Add takes a pod without a node in; one that is there already is updated.
func (q *Queue) Add(pod *corev1.Pod) {
	if q.Update(pod) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	it := &Item{Pod: core.NewPod(pod), Since: time.Now()}
	q.items[pod.UID] = it
	if it.Pod.Relates() {
		q.relating++
	}
	q.activate(it)
}

// Update takes a change of a pod in; false when the queue does not hold it. A
// change that could help the pod (of its spec, not its status) makes it active.
func (q *Queue) Update(pod *corev1.Pod) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	it, known := q.items[pod.UID]
	if !known {
		return false
	}
	helps := !equality.Semantic.DeepEqual(it.Pod.Object.Spec, pod.Spec)
	switch {
	case it.where == nil:
		// Popped: whoever has it goes on with what it was.
		it.next = pod
		it.changed = it.changed || helps
	case helps:
		it.Pod = core.NewPod(pod)
		q.activate(it)
	default:
		it.Pod = core.NewPod(pod)
	}
	return true
}

// Delete forgets a pod: it is gone, or has a node.
func (q *Queue) Delete(uid types.UID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it, ok := q.items[uid]; ok {
		q.lift(it)
		it.gone = true
		delete(q.items, uid)
		if it.Pod.Relates() {
			q.relating--
		}
	}
}

// Pop waits for at least one active pod and returns up to limit of them, in
// order. Each has to be given back by Done, Rest or Retry. Nil when ctx ended,
// also while there are more: another may be placing them by now.
func (q *Queue) Pop(ctx context.Context, limit int) []*Item {
	for ctx.Err() == nil {
		out, next := q.take(limit)
		if len(out) > 0 {
			return out
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-q.notify:
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// take returns active pods, or how long to wait for the first.
func (q *Queue) take(limit int) ([]*Item, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for q.waiting.Len() > 0 && !q.waiting.items[0].readyAt.After(now) {
		q.activate(q.waiting.items[0])
	}
	var out []*Item
	for q.active.Len() > 0 && len(out) < limit {
		it := q.active.items[0]
		q.lift(it)
		it.wakes = q.wakes
		out = append(out, it)
	}
	if q.active.Len() > 0 {
		q.signal()
	}
	if q.waiting.Len() > 0 {
		return out, q.waiting.items[0].readyAt.Sub(now)
	}
	return out, restLimit
}

// Done forgets a pod that got its node.
func (q *Queue) Done(it *Item) { q.Delete(it.Pod.Object.UID) }

// Rest puts a pod that fits nowhere aside until a wake. One that came since the
// pod was popped counts: the pod was judged by what was before.
func (q *Queue) Rest(it *Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.gone {
		return
	}
	changed := it.changed
	it.renew()
	it.failures = 0
	if changed {
		q.activate(it)
		return
	}
	it.resting = it.wakes == q.wakes
	if it.resting {
		q.wait(it, restLimit)
	} else {
		q.wait(it, minBackoff)
	}
}

// Retry puts a pod whose binding failed aside for a moment that grows with each
// failure.
func (q *Queue) Retry(it *Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.gone {
		return
	}
	it.renew()
	it.failures++
	it.resting = false
	q.wait(it, min(minBackoff<<min(it.failures-1, 10), maxBackoff))
}

// Wake makes the resting pods active that the function says could be helped.
func (q *Queue) Wake(helps func(*core.Pod) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wake(helps)
}

// WakeRelating makes the resting pods active that demand something of the pods
// around them; these have changed somewhere.
func (q *Queue) WakeRelating() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.relating > 0 {
		q.wake((*core.Pod).Relates)
	}
}

// Review has the resting pods tried again before long: nothing that could help
// them happened, but why they rest may have changed.
func (q *Queue) Review() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wakes++
	soon, moved := time.Now().Add(reviewDelay), false
	for _, it := range q.waiting.items {
		if it.resting && it.readyAt.After(soon) {
			it.readyAt, moved = soon, true
		}
	}
	if moved {
		heap.Init(&q.waiting)
		q.signal()
	}
}

func (q *Queue) wake(helps func(*core.Pod) bool) {
	q.wakes++
	var woken []*Item
	for _, it := range q.waiting.items {
		if it.resting && helps(it.Pod) {
			woken = append(woken, it)
		}
	}
	for _, it := range woken {
		q.activate(it)
	}
}

// Len counts the pods to be placed, and those set aside.
func (q *Queue) Len() (active, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.active.Len(), q.waiting.Len()
}

// renew takes in what the pod became while it was popped.
func (it *Item) renew() {
	if it.next != nil {
		it.Pod = core.NewPod(it.next)
	}
	it.next, it.changed = nil, false
}

func (q *Queue) activate(it *Item) {
	q.lift(it)
	it.resting = false
	q.active.add(it)
	q.signal()
}

func (q *Queue) wait(it *Item, d time.Duration) {
	q.lift(it)
	it.readyAt = time.Now().Add(d)
	q.waiting.add(it)
	q.signal()
}

func (q *Queue) lift(it *Item) {
	if it.where != nil {
		heap.Remove(it.where, it.index)
	}
}

func (q *Queue) signal() {
	select {
	case q.notify <- struct{}{}:
	default:
	}
}
