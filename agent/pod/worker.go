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
	tokens      map[tokenKind]token
	resizing    resizing
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

func (w *worker) podDir() string { return filepath.Join(w.cfg.Dir, w.uid) }

func (w *worker) event(pod *corev1.Pod, eventType, reason, format string, args ...any) {
	if pod != nil {
		w.cfg.Events.Event(pod, eventType, reason, format, args...)
	}
}
