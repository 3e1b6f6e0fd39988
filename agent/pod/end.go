package pod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/volume"
)

// gracePeriod is how long containers may take to end.
func gracePeriod(pod *corev1.Pod) time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		seconds = *pod.Spec.TerminationGracePeriodSeconds
	}
	if pod.DeletionGracePeriodSeconds != nil {
		seconds = *pod.DeletionGracePeriodSeconds
	}
	return time.Duration(max(1, seconds)) * time.Second
}

// stopAll stops the containers side by side, sidecars after the others.
func (w *worker) stopAll(ctx context.Context, pod *corev1.Pod, grace time.Duration) error {
	if w.killBegan.IsZero() {
		w.killBegan = time.Now()
	}
	late := map[string]bool{}
	if pod != nil {
		for i := range pod.Spec.InitContainers {
			late[pod.Spec.InitContainers[i].Name] = sidecar(&pod.Spec.InitContainers[i])
		}
	}
	for _, sidecars := range []bool{false, true} {
		group, ctx := errgroup.WithContext(ctx)
		for _, c := range w.state.Containers {
			if c.State != runtime.Running || late[c.Name] != sidecars {
				continue
			}
			w.tellKilling(pod, c)
			left := max(0, grace-time.Since(w.killBegan))
			group.Go(func() error { return w.cfg.Runtime.Stop(ctx, w.uid, c.ID, left) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) tellKilling(pod *corev1.Pod, c runtime.Container) {
	key := "Killing" + strconv.Itoa(c.Attempt)
	if w.told[c.Name] == key {
		return
	}
	w.told[c.Name] = key
	w.event(pod, corev1.EventTypeNormal, "Killing", "Stopping container %s", c.Name)
}

// flushTimeout bounds how long a pod's end waits for its last status.
const flushTimeout = 5 * time.Second

// terminate ends a pod and removes every trace of it, the cluster's last.
func (w *worker) terminate(ctx context.Context, pod *corev1.Pod, gone bool) (done bool, err error) {
	clear(w.waits)
	w.stopProbes()
	grace := time.Second // Forgotten by the cluster: forced, as kubelet treats it.
	if !gone {
		grace = gracePeriod(pod)
		if pod, err = w.m.ledger.Allocated(pod); err != nil {
			return false, err
		}
	}
	if err := w.stopAll(ctx, pod, grace); err != nil {
		return false, err
	}
	if !gone {
		if err := w.refresh(ctx); err != nil {
			return false, err
		}
		w.initialized, w.stopped = decide(pod, w.state, w.patience, w.up).initialized, true
		w.publish(pod)
		flushCtx, cancel := context.WithTimeout(ctx, flushTimeout)
		err := w.status.flush(flushCtx)
		cancel()
		if err != nil && ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	if err := w.cleanUp(ctx); err != nil {
		return false, err
	}
	if !gone {
		if err := w.cfg.API.Delete(ctx, pod); err != nil {
			return false, err
		}
	}
	return true, nil
}

// cleanUp can be repeated after a crash in any of its steps.
func (w *worker) cleanUp(ctx context.Context) error {
	if err := w.cfg.Network.Detach(ctx, w.uid, w.state.Sandbox.NetNS); err != nil {
		return fmt.Errorf("detach network: %w", err)
	}
	if err := w.cfg.Runtime.RemoveSandbox(ctx, w.uid); err != nil {
		return err
	}
	if err := volume.Remove(filepath.Join(w.podDir(), "volumes")); err != nil {
		return fmt.Errorf("remove volumes: %w", err)
	}
	if err := os.RemoveAll(w.podDir()); err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(w.cfg.LogDir, "*_"+w.uid))
	if err != nil {
		return err
	}
	for _, dir := range logs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	w.forget()
	return nil
}

func (w *worker) forget() {
	w.mu.Lock()
	spec := w.spec
	w.mu.Unlock()
	if spec == nil {
		return
	}
	for i := range spec.Spec.InitContainers {
		w.m.crash.Forget(w.crashKey(spec.Spec.InitContainers[i].Name))
	}
	for i := range spec.Spec.Containers {
		w.m.crash.Forget(w.crashKey(spec.Spec.Containers[i].Name))
	}
}

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
