package pod

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// live runs a pod that shall run, with the resources that it was granted.
func (w *worker) live(ctx context.Context, pod *corev1.Pod) (again time.Duration, err error) {
	if ended(pod.Status.Phase) {
		return 0, w.finish(ctx, pod)
	}
	if pod, err = w.allocate(pod); err != nil {
		return 0, err
	}
	p := decide(pod, w.state, w.patience, w.up)
	w.initialized = p.initialized
	if p.finished {
		return 0, w.finish(ctx, pod)
	}
	if w.overdue(pod) {
		return 0, w.finish(ctx, pod)
	}
	w.noteBackOffs(pod, p)
	if !w.found {
		w.publish(pod) // Pending; of an adopted pod not all is known yet.
	}
	if err := w.prepare(ctx, pod, p); err != nil {
		w.publish(pod)
		return 0, err
	}
	w.syncProbes(pod)
	w.tellResizing(pod, p)
	p.stop = append(p.stop, w.condemned()...)
	again, err = w.act(ctx, pod, p)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	next, reviewErr := w.review(ctx, pod, p)
	if reviewErr != nil {
		return again, errors.Join(err, reviewErr)
	}
	return soonest(again, p.again, next), err
}

// overdue says whether the pod was active for longer than it may, and tells so once.
func (w *worker) overdue(pod *corev1.Pod) bool {
	left, limited := remaining(pod, w.startTime(pod), time.Now())
	if !limited || left > 0 {
		return false
	}
	if !w.expired {
		w.event(pod, corev1.EventTypeNormal, deadlineExceeded, deadlineMessage)
	}
	w.expired = true
	return true
}

// review looks at what came of a plan, publishes it and returns when there will
// be something to do.
func (w *worker) review(ctx context.Context, pod *corev1.Pod, done plan) (again time.Duration, err error) {
	if err := w.refresh(ctx); err != nil {
		return 0, err
	}
	w.syncProbes(pod)
	next := decide(pod, w.state, w.patience, w.up)
	w.initialized = next.initialized
	w.tellResized(pod, next)
	w.publish(pod)
	if len(done.start) > 0 || len(done.stop) > 0 {
		// What was started may have ended already, or let the next one begin.
		if next.finished || len(next.stop) > 0 || (len(next.start) > 0 && !w.allWaiting(next)) {
			w.poke()
		}
	}
	left, limited := remaining(pod, w.startTime(pod), time.Now())
	if limited {
		left = max(left, time.Millisecond)
	}
	return soonest(next.again, w.volumesDue(pod), left), nil
}

// startTime is when the node took the pod on; what was written last may be newer
// than what the cluster told last.
func (w *worker) startTime(pod *corev1.Pod) *metav1.Time {
	if last, ok := w.status.last(); ok && last.StartTime != nil {
		return last.StartTime
	}
	return pod.Status.StartTime
}

// allWaiting says whether all that could be started failed just now.
func (w *worker) allWaiting(p plan) bool {
	for _, s := range p.start {
		if _, ok := w.waits[s.container.Name]; !ok {
			return false
		}
	}
	return true
}

func soonest(all ...time.Duration) time.Duration {
	var out time.Duration
	for _, d := range all {
		if d > 0 && (out == 0 || d < out) {
			out = d
		}
	}
	return out
}

func (w *worker) patience(name string, since time.Time) (left, delay time.Duration) {
	return w.m.crash.Remaining(w.crashKey(name), since, time.Now())
}

func (w *worker) crashKey(container string) string { return w.uid + "_" + container }
