package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/image"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/volume"
)

// configRetry is how soon a missing configMap or secret is looked for again.
const configRetry = 5 * time.Second

// prepare makes what a pod's containers stand on: sandbox, address, volumes.
func (w *worker) prepare(ctx context.Context, pod *corev1.Pod, p plan) error {
	if !w.found || !w.state.Sandbox.Ready {
		sandbox, err := w.cfg.Runtime.EnsureSandbox(ctx, w.sandboxConfig(pod))
		if err != nil {
			w.event(pod, corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: %v", err)
			return err
		}
		w.state.Sandbox, w.found, w.attached = sandbox, true, ""
	}
	if ns := w.state.Sandbox.NetNS; !pod.Spec.HostNetwork && w.attached != ns {
		ip, err := w.cfg.Network.Attach(ctx, w.uid, ns)
		if err != nil {
			w.event(pod, corev1.EventTypeWarning, "FailedCreatePodSandBox",
				"Failed to create pod sandbox: setup network for sandbox %q: %v", w.uid, err)
			return err
		}
		w.podIP, w.attached = ip, ns
	}
	if len(p.start) == 0 && w.volumesDue(pod) == 0 {
		return nil
	}
	if len(p.start) == 0 && time.Since(w.volumesAt) < volumeInterval {
		return nil
	}
	return w.prepareFiles(ctx, pod)
}

func (w *worker) prepareFiles(ctx context.Context, pod *corev1.Pod) error {
	if err := os.MkdirAll(w.podDir(), 0o750); err != nil {
		return err
	}
	if err := w.writeNetworkFiles(pod); err != nil {
		return err
	}
	paths, err := volume.Make(ctx, filepath.Join(w.podDir(), "volumes"), pod, w.volumeSource())
	if err != nil {
		if ctx.Err() == nil {
			w.event(pod, corev1.EventTypeWarning, "FailedMount", "%v", err)
		}
		return err
	}
	w.volumes, w.volumesAt = paths, time.Now()
	return nil
}

// volumesDue is when projected volumes are to be renewed; 0 when there are none.
func (w *worker) volumesDue(pod *corev1.Pod) time.Duration {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil {
			return max(time.Second, volumeInterval-time.Since(w.volumesAt))
		}
	}
	return 0
}

func (w *worker) sandboxConfig(pod *corev1.Pod) runtime.SandboxConfig {
	hostname, domain := w.hostname(pod)
	cfg := runtime.SandboxConfig{
		PodUID: w.uid, Namespace: pod.Namespace, Name: pod.Name,
		Hostname: hostname, HostNetwork: pod.Spec.HostNetwork, HostIPC: pod.Spec.HostIPC,
		CgroupParent: w.cfg.CgroupParent, Resources: podResources(pod),
	}
	if isTrue(pod.Spec.SetHostnameAsFQDN) && domain != "" {
		cfg.Hostname = hostname + "." + domain
	}
	if sc := pod.Spec.SecurityContext; sc != nil && len(sc.Sysctls) > 0 {
		cfg.Sysctls = map[string]string{}
		for _, s := range sc.Sysctls {
			cfg.Sysctls[s.Name] = s.Value
		}
	}
	return cfg
}

// act carries a plan out. A container that cannot be started does not keep the
// others from it.
func (w *worker) act(ctx context.Context, pod *corev1.Pod, p plan) (again time.Duration, err error) {
	for _, id := range p.remove {
		err = errors.Join(err, w.removeContainer(ctx, id))
	}
	for _, s := range p.stop {
		w.event(pod, corev1.EventTypeNormal, "Killing", "%s", s.message)
		grace := s.grace
		if grace == 0 {
			grace = gracePeriod(pod)
		}
		err = errors.Join(err, w.cfg.Runtime.Stop(ctx, w.uid, s.id, grace))
	}
	for _, s := range p.start {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		retry, startErr := w.start(ctx, pod, s)
		again, err = soonest(again, retry), errors.Join(err, startErr)
	}
	return again, err
}

func (w *worker) removeContainer(ctx context.Context, id string) error {
	for _, c := range w.state.Containers {
		if c.ID != id {
			continue
		}
		files, err := filepath.Glob(c.LogPath + "*")
		if err != nil {
			return err
		}
		for _, f := range append(files, w.messagePath(c.Name, c.Attempt)) {
			if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return w.cfg.Runtime.Remove(ctx, w.uid, id)
}

// start runs one container. Its own troubles end in its status, with the time
// of the next try; the error is for trouble of the node.
func (w *worker) start(ctx context.Context, pod *corev1.Pod, s starting) (retry time.Duration, err error) {
	c := s.container
	keyring, err := w.keyring(ctx, pod)
	if err != nil {
		return 0, err
	}
	img, err := w.m.puller.Ensure(ctx, w.uid, c, keyring, w.imageEvents(pod, c))
	var missing *image.Error
	if errors.As(err, &missing) {
		w.refuse(pod, c, waiting{missing.Reason, missing.Message}, "Error: "+missing.Reason)
		return missing.Retry, nil
	}
	if err != nil {
		return 0, err
	}
	cfg, err := w.containerConfig(ctx, pod, c, s.attempt, img)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		w.refuse(pod, c, waiting{"CreateContainerConfigError", err.Error()}, "Error: "+err.Error())
		return configRetry, nil
	}
	if s.attempt > 0 {
		w.m.crash.Next(w.crashKey(c.Name), s.since, time.Now())
	}
	got, err := w.cfg.Runtime.CreateAndStart(ctx, w.uid, cfg)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		w.refuse(pod, c, waiting{"CreateContainerError", err.Error()}, "Error: "+err.Error())
		return 0, err
	}
	delete(w.told, c.Name)
	delete(w.waits, c.Name)
	w.event(pod, corev1.EventTypeNormal, "Created", "Created container: %s", c.Name)
	if got.Err != "" {
		w.event(pod, corev1.EventTypeWarning, "Failed", "Error: %s", got.Err)
		if sidecar(c) || restarts(pod.Spec.RestartPolicy, got.ExitCode) {
			w.waits[c.Name] = waiting{"RunContainerError", got.Err}
		}
		return 0, nil
	}
	w.event(pod, corev1.EventTypeNormal, "Started", "Started container %s", c.Name)
	return 0, nil
}

// refuse notes why a container does not start, and says it once.
func (w *worker) refuse(pod *corev1.Pod, c *corev1.Container, why waiting, event string) {
	if w.waits[c.Name] != why {
		w.event(pod, corev1.EventTypeWarning, "Failed", "%s", event)
	}
	w.waits[c.Name] = why
}

func (w *worker) imageEvents(pod *corev1.Pod, c *corev1.Container) image.Notify {
	return func(eventType, reason, message string) {
		if reason != "Pulling" && reason != "Pulled" {
			if w.told[c.Name] == reason+message {
				return
			}
			w.told[c.Name] = reason + message
		}
		w.event(pod, eventType, reason, "%s", message)
	}
}

// noteBackOffs words the restarts that are held back.
func (w *worker) noteBackOffs(pod *corev1.Pod, p plan) {
	for name, b := range p.waiting {
		where := fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
		why := waiting{"CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", b.delay, name, where)}
		if w.waits[name] != why {
			w.event(pod, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s", name, where)
		}
		w.waits[name] = why
	}
	for name, why := range w.waits {
		if _, held := p.waiting[name]; !held && why.Reason == "CrashLoopBackOff" {
			delete(w.waits, name)
		}
	}
	for _, c := range w.state.Containers {
		if c.State == runtime.Running {
			delete(w.waits, c.Name)
		}
	}
}

func (w *worker) keyring(ctx context.Context, pod *corev1.Pod) (image.Keyring, error) {
	keyring := image.Keyring{}
	for _, ref := range pod.Spec.ImagePullSecrets {
		secret, err := w.cfg.API.Secret(ctx, pod.Namespace, ref.Name)
		if err == nil {
			err = keyring.Add(secret)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			w.event(pod, corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret",
				"Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", ref.Name)
		}
	}
	return keyring, nil
}

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
