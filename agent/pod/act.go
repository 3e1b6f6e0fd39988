package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/image"
	"github.com/musterhq/muster/agent/runtime"
)

// configRetry is how soon a missing configMap or secret is looked for again.
const configRetry = 5 * time.Second

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
	again = w.actuate(ctx, pod, p.resize)
	for _, s := range p.start {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if s.resized && err != nil {
			continue // What it follows may run still.
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
		// The puller holds its tries back, and is asked more often than it tries.
		if why := (waiting{missing.Reason, missing.Message}); w.waits[c.Name] != why {
			w.refuse(pod, c, why, "Error: "+missing.Reason)
		}
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
	if s.attempt > 0 && !s.resized {
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

// refuse notes why a container does not start, and says it: the recorder counts
// what is said again.
func (w *worker) refuse(pod *corev1.Pod, c *corev1.Container, why waiting, event string) {
	w.event(pod, corev1.EventTypeWarning, "Failed", "%s", event)
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
