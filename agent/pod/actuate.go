package pod

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/musterhq/muster/agent/runtime"
)

// resizeRetry is how soon a resize that could not be carried out is tried again.
const resizeRetry = 10 * time.Second

// resizes tells whether a plan leaves the pod or a container with other limits.
func (w *worker) resizes(pod *corev1.Pod, p plan) bool {
	return p.resizes() || w.sandboxResizes(pod)
}

// sandboxResizes tells whether the pod as a whole gets other limits. Of a sandbox
// that an older agent made it is not known what it has.
func (w *worker) sandboxResizes(pod *corev1.Pod) bool {
	now := w.state.Sandbox.Resources
	return w.found && w.state.Sandbox.Ready && now != (runtime.Resources{}) && now != podResources(pod)
}

// actuate carries the resizes out that need no new start. Their troubles end in
// the pod's condition, with the time of the next try.
func (w *worker) actuate(ctx context.Context, pod *corev1.Pod, list []resize) (again time.Duration) {
	if len(list) == 0 && !w.sandboxResizes(pod) {
		return 0
	}
	err := w.resizeInPlace(ctx, pod, list)
	if err == nil || ctx.Err() != nil {
		return 0
	}
	if w.resizing.fail(err.Error(), pod.Generation) {
		generation := w.resizing.progress.ObservedGeneration
		w.event(pod, corev1.EventTypeWarning, "ResizeError", "Pod resize error: %s", summary(pod, generation, err.Error()))
	}
	return resizeRetry
}

// resizeInPlace has the pod's own limits hold those of its containers at every
// step: they grow first and shrink last.
func (w *worker) resizeInPlace(ctx context.Context, pod *corev1.Pod, list []resize) error {
	now, then := w.state.Sandbox.Resources, podResources(pod)
	if now == (runtime.Resources{}) {
		now = then
	}
	if err := w.memoryHolds(ctx, list, now.MemoryBytes, then.MemoryBytes); err != nil {
		return err
	}
	wide := widest(now, then)
	if wide != w.state.Sandbox.Resources {
		if err := w.cfg.Runtime.ResizeSandbox(ctx, w.uid, wide); err != nil {
			return err
		}
	}
	for _, r := range list {
		if err := w.cfg.Runtime.Resize(ctx, w.uid, r.id, containerResources(r.container), requirements(r.container)); err != nil {
			return err
		}
	}
	if then == wide {
		return nil
	}
	return w.cfg.Runtime.ResizeSandbox(ctx, w.uid, then)
}

// widest allows what either of them does.
func widest(a, b runtime.Resources) runtime.Resources {
	limit := func(x, y int64) int64 {
		if x == 0 || y == 0 {
			return 0
		}
		return max(x, y)
	}
	return runtime.Resources{
		CPUShares:  max(a.CPUShares, b.CPUShares),
		CPUQuotaUS: limit(a.CPUQuotaUS, b.CPUQuotaUS), MemoryBytes: limit(a.MemoryBytes, b.MemoryBytes),
		PidsLimit: limit(a.PidsLimit, b.PidsLimit),
	}
}

// memoryHolds refuses limits below what is in use, for which the kernel would have
// to kill. The words are kubelet's.
func (w *worker) memoryHolds(ctx context.Context, list []resize, now, then int64) error {
	shrinks := func(from, to int64) bool { return to > 0 && (from == 0 || to < from) }
	any := shrinks(now, then)
	for _, r := range list {
		any = any || shrinks(r.from.memoryLimit, r.to.memoryLimit)
	}
	if !any {
		return nil
	}
	whole, each, err := w.cfg.Runtime.Usage(ctx, w.uid)
	if err != nil {
		return err
	}
	var errs []error
	if shrinks(now, then) && whole.Memory >= then {
		errs = append(errs, fmt.Errorf("attempting to set pod memory limit (%d) below current usage (%d)", then, whole.Memory))
	}
	for _, r := range list {
		if used := each[r.id].Memory; shrinks(r.from.memoryLimit, r.to.memoryLimit) && used >= r.to.memoryLimit {
			errs = append(errs, fmt.Errorf("attempting to set container %q memory limit (%d) below current usage (%d)", r.container.Name, r.to.memoryLimit, used))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("cannot decrease memory limits: %w", utilerrors.NewAggregate(errs))
}
