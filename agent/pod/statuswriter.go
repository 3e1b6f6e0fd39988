package pod

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// statusWriter writes one pod's status in the background: only changes, only
// the latest, again and again until the cluster has it.
type statusWriter struct {
	api  API
	log  *slog.Logger
	kick chan struct{}

	mu      sync.Mutex
	pending *corev1.Pod
	latest  *corev1.PodStatus // handed in last
	version string            // of the pod as this writer left it
	idle    chan struct{}     // closed while nothing is pending or being written
}

func newStatusWriter(api API, log *slog.Logger) *statusWriter {
	idle := make(chan struct{})
	close(idle)
	return &statusWriter{api: api, log: log, kick: make(chan struct{}, 1), idle: idle}
}

// write hands in a status; pod is the latest version known.
func (s *statusWriter) write(pod *corev1.Pod, status corev1.PodStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil && sameStatus(*s.latest, status) {
		return
	}
	if s.latest == nil && sameStatus(pod.Status, status) {
		s.latest = &status
		return
	}
	s.store(pod, status)
}

// rewrite is write for a status that others have overwritten: it is written
// again unless pod is from before the last write.
func (s *statusWriter) rewrite(pod *corev1.Pod, status corev1.PodStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != nil && sameStatus(*s.latest, status) &&
		(s.pending != nil || newer(pod.ResourceVersion, s.version) != pod.ResourceVersion || pod.ResourceVersion == s.version) {
		return
	}
	s.store(pod, status)
}

// store hands a status to run; the lock is held.
func (s *statusWriter) store(pod *corev1.Pod, status corev1.PodStatus) {
	s.latest = &status
	p := pod.DeepCopy()
	p.Status = *status.DeepCopy()
	s.pending = p
	select {
	case <-s.idle:
		s.idle = make(chan struct{})
	default:
	}
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *statusWriter) last() (corev1.PodStatus, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil {
		return corev1.PodStatus{}, false
	}
	return *s.latest.DeepCopy(), true
}

// flush waits until all is written, or ctx ends.
func (s *statusWriter) flush(ctx context.Context) error {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *statusWriter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		}
		for wait := 100 * time.Millisecond; !s.writePending(ctx); wait = min(2*wait, 5*time.Second) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}
}

// writePending is true when nothing is left to be written.
func (s *statusWriter) writePending(ctx context.Context) bool {
	s.mu.Lock()
	pod := s.pending
	if pod != nil {
		pod.ResourceVersion = newer(pod.ResourceVersion, s.version)
	}
	s.mu.Unlock()
	if pod == nil {
		return true
	}
	version, err := s.api.UpdateStatus(ctx, pod)
	if err != nil && !apierrors.IsNotFound(err) {
		if ctx.Err() == nil {
			s.log.Warn("write pod status", "pod", pod.Namespace+"/"+pod.Name, "error", err)
		}
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = newer(s.version, version)
	if s.pending != pod {
		return false // A newer one came meanwhile.
	}
	s.pending = nil
	close(s.idle)
	return true
}

// newer is the later of two resourceVersions.
func newer(a, b string) string {
	na, errA := strconv.ParseUint(a, 10, 64)
	nb, errB := strconv.ParseUint(b, 10, 64)
	if errA != nil || (errB == nil && nb > na) {
		return b
	}
	return a
}

// mergeForeign takes from the cluster's version the conditions that others write.
func mergeForeign(own, theirs corev1.PodStatus) corev1.PodStatus {
	for _, c := range theirs.Conditions {
		switch c.Type {
		case corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady, corev1.PodScheduled,
			corev1.PodResizePending, corev1.PodResizeInProgress:
			continue
		}
		if old := condition(&own, c.Type); old == nil {
			own.Conditions = append(own.Conditions, c)
		} else {
			*old = c
		}
	}
	return own
}

func sameSpec(a, b *corev1.Pod) bool { return equality.Semantic.DeepEqual(a.Spec, b.Spec) }
