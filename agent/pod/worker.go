package pod

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// worker owns one pod on this node, from the first Set to the last trace.
type worker struct {
	m   *Manager
	cfg *Config
	uid string
	log *slog.Logger

	wake chan struct{}

	mu        sync.Mutex // guards what follows
	spec      *corev1.Pod
	gone      bool
	interrupt context.CancelFunc // of what is being done; nil when nothing is

	// What follows belongs to run.
	base        context.Context // run's
	probes      probes
	status      *statusWriter
	state       runtime.Pod
	found       bool
	podIP       netip.Addr
	attached    string // network namespace the address was attached to
	waits       map[string]waiting
	told        map[string]string // the last back-off event of each container
	initialized bool
	killBegan   time.Time
	stopped     bool
	expired     bool // active for longer than it may
	volumes     map[string]string
	volumesAt   time.Time
	failures    int
}

// volumeInterval is how often projected files are renewed, as kubelet does.
const volumeInterval = time.Minute

func newWorker(m *Manager, uid string) *worker {
	return &worker{
		m: m, cfg: &m.cfg, uid: uid, log: m.cfg.Logger.With("uid", uid),
		wake: make(chan struct{}, 1), waits: map[string]waiting{}, told: map[string]string{},
		probes: probes{running: map[string]*runningProbe{}},
	}
}

func (w *worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// set takes the latest version. One that begins or hastens the pod's end
// interrupts what is being done.
func (w *worker) set(pod *corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.spec
	w.spec = pod
	if old != nil && !matters(old, pod) && !(calledLost(&pod.Status) && !calledLost(&old.Status)) {
		return
	}
	if old != nil && hastens(old, pod) && w.interrupt != nil {
		w.interrupt()
	}
	w.poke()
}

// matters says whether a change is more than the status that was written here.
func matters(old, new *corev1.Pod) bool {
	return old.Generation != new.Generation || hastens(old, new) ||
		(old.Generation == 0 && !sameSpec(old, new)) ||
		!maps.Equal(old.Labels, new.Labels) || !maps.Equal(old.Annotations, new.Annotations)
}

func hastens(old, new *corev1.Pod) bool {
	if new.DeletionTimestamp == nil {
		return false
	}
	return old.DeletionTimestamp == nil || gracePeriod(old) != gracePeriod(new)
}

// vanish notes that the cluster has forgotten the pod, which hastens its end.
func (w *worker) vanish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	if w.interrupt != nil {
		w.interrupt()
	}
	w.poke()
}

func (w *worker) run(ctx context.Context) {
	w.status = newStatusWriter(w.cfg.API, w.log)
	writerCtx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { w.status.run(writerCtx) })
	defer wg.Wait()
	defer stop()
	w.base = writerCtx
	defer w.probes.wg.Wait()
	defer w.stopProbes()
	var timer <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer:
		}
		again, done := w.sync(ctx)
		if done {
			return
		}
		timer = nil
		if again > 0 {
			timer = time.After(again)
		}
	}
}

// sync brings the pod one step nearer to what it shall be. again is when to look
// once more; done says that nothing is left of the pod.
func (w *worker) sync(ctx context.Context) (again time.Duration, done bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	spec, gone := w.spec, w.gone
	w.interrupt = cancel
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.interrupt = nil
		w.mu.Unlock()
	}()
	if spec == nil && !gone {
		return 0, false
	}
	err := w.refresh(ctx)
	if err == nil {
		if gone || spec.DeletionTimestamp != nil {
			done, err = w.terminate(ctx, spec, gone)
		} else {
			again, err = w.live(ctx, spec)
		}
	}
	if err == nil || ctx.Err() != nil {
		w.failures = 0
		return again, done
	}
	w.failures++
	w.log.Warn("sync pod", "error", err, "failures", w.failures)
	retry := min(time.Duration(1<<min(w.failures-1, 5))*500*time.Millisecond, 10*time.Second)
	if again == 0 || retry < again {
		again = retry
	}
	return again, false
}

// refresh asks the runtime for what there is.
func (w *worker) refresh(ctx context.Context) error {
	state, err := w.cfg.Runtime.Pod(ctx, w.uid)
	if errors.Is(err, runtime.ErrNotFound) {
		w.state, w.found = runtime.Pod{}, false
		return nil
	}
	if err != nil {
		return err
	}
	w.state, w.found = state, true
	return nil
}

// live runs a pod that shall run.
func (w *worker) live(ctx context.Context, pod *corev1.Pod) (again time.Duration, err error) {
	if ended(pod.Status.Phase) {
		return 0, w.finish(ctx, pod)
	}
	p := decide(pod, w.state, w.patience, w.up)
	w.initialized = p.initialized
	if p.finished {
		return 0, w.finish(ctx, pod)
	}
	left, limited := remaining(pod, w.startTime(pod), time.Now())
	if limited && left <= 0 {
		if !w.expired {
			w.event(pod, corev1.EventTypeNormal, deadlineExceeded, deadlineMessage)
		}
		w.expired = true
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
	p.stop = append(p.stop, w.condemned()...)
	again, err = w.act(ctx, pod, p)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if refreshErr := w.refresh(ctx); refreshErr != nil {
		return again, errors.Join(err, refreshErr)
	}
	w.syncProbes(pod)
	next := decide(pod, w.state, w.patience, w.up)
	w.initialized = next.initialized
	w.publish(pod)
	if len(p.start) > 0 || len(p.stop) > 0 {
		// What was started may have ended already, or let the next one begin.
		if next.finished || len(next.stop) > 0 || (len(next.start) > 0 && !w.allWaiting(next)) {
			w.poke()
		}
	}
	left, limited = remaining(pod, w.startTime(pod), time.Now())
	if limited {
		left = max(left, time.Millisecond)
	}
	return soonest(again, p.again, next.again, w.volumesDue(pod), left), err
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

// finish tidies up after a pod whose containers have all ended; they stay for
// their logs until the pod is deleted.
func (w *worker) finish(ctx context.Context, pod *corev1.Pod) error {
	clear(w.waits)
	w.stopProbes()
	if err := w.stopAll(ctx, pod, gracePeriod(pod)); err != nil {
		return err
	}
	if err := w.refresh(ctx); err != nil {
		return err
	}
	if !ended(pod.Status.Phase) {
		w.publish(pod)
	}
	if pod.Spec.HostNetwork || !w.found {
		return nil
	}
	return w.cfg.Network.Detach(ctx, w.uid, w.state.Sandbox.NetNS)
}

func (w *worker) observation(pod *corev1.Pod) observation {
	return observation{
		pod: pod, state: w.state, found: w.found, podIP: w.podIP, nodeIP: w.cfg.NodeIPs,
		waits: w.waits, initialized: w.initialized, runtimeName: w.cfg.RuntimeName,
		probed: w.probed, stopped: w.stopped, expired: w.expired,
		message: func(c *corev1.Container, r runtime.Container) string { return w.terminationMessage(pod, c, r) },
		now:     time.Now(),
	}
}

// publish writes the pod's status if it changed. What was written last, not what
// the cluster told last, is what the next one is made from.
func (w *worker) publish(pod *corev1.Pod) {
	o := w.observation(pod)
	if last, ok := w.status.last(); ok {
		o.pod = pod.DeepCopy()
		o.pod.Status = mergeForeign(last, pod.Status)
	}
	status := o.status()
	if calledLost(&pod.Status) && !calledLost(&status) && (w.cfg.NodeReady == nil || w.cfg.NodeReady()) {
		w.status.rewrite(pod, status)
		return
	}
	w.status.write(pod, status)
}

func (w *worker) podDir() string { return filepath.Join(w.cfg.Dir, w.uid) }

func (w *worker) event(pod *corev1.Pod, eventType, reason, format string, args ...any) {
	if pod != nil {
		w.cfg.Events.Event(pod, eventType, reason, format, args...)
	}
}
