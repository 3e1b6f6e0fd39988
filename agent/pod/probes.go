package pod

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/probe"
	"github.com/musterhq/muster/agent/runtime"
)

// probes are the probers of a pod's running containers, by container ID. They
// belong to the worker's goroutine; the probers themselves run beside it.
type probes struct {
	running map[string]*runningProbe
	wg      sync.WaitGroup
}

type runningProbe struct {
	*probe.Prober
	stop context.CancelFunc
}

// sync starts probers of containers that run and stops the others.
func (w *worker) syncProbes(pod *corev1.Pod) {
	alive := map[string]bool{}
	for _, r := range w.state.Containers {
		c := specOf(pod, r.Name)
		if r.State != runtime.Running || c == nil || !probe.Needed(c) || !w.observation(pod).ip().IsValid() {
			continue
		}
		alive[r.ID] = true
		if _, ok := w.probes.running[r.ID]; !ok {
			w.startProbe(pod, c, r)
		}
	}
	for id, p := range w.probes.running {
		if !alive[id] {
			p.stop()
			delete(w.probes.running, id)
		}
	}
}

func (w *worker) startProbe(pod *corev1.Pod, c *corev1.Container, r runtime.Container) {
	wasReady := false
	if s := find(pod.Status.ContainerStatuses, c.Name); s != nil {
		wasReady = s.Ready && strings.HasSuffix(s.ContainerID, r.ID)
	}
	ctx, cancel := context.WithCancel(w.base)
	p := probe.New(c, w.observation(pod).ip().String(), w.exec(c, r.ID), wasReady, w.poke, func(kind string, reason error) {
		words := "%s probe failed: %v"
		if unknown := (*probe.UnknownError)(nil); errors.As(reason, &unknown) {
			words = "%s probe errored and resulted in unknown state: %v"
		}
		w.event(pod, corev1.EventTypeWarning, "Unhealthy", words, kind, reason)
	})
	w.probes.running[r.ID] = &runningProbe{p, cancel}
	w.probes.wg.Go(func() { p.Run(ctx) })
}

// exec runs a probe's commands. Of the environment only what the pod spells out
// is put into them, as kubelet does.
func (w *worker) exec(c *corev1.Container, id string) probe.Exec {
	lookup := func(name string) (string, bool) {
		for _, e := range c.Env {
			if e.Name == name && e.ValueFrom == nil {
				return e.Value, true
			}
		}
		return "", false
	}
	return func(ctx context.Context, command []string) ([]byte, int, error) {
		return w.cfg.Runtime.Exec(ctx, w.uid, id, expandAll(command, lookup))
	}
}

func (w *worker) stopProbes() {
	for id, p := range w.probes.running {
		p.stop()
		delete(w.probes.running, id)
	}
}

// condemned are containers that a probe wants ended.
func (w *worker) condemned() []stopping {
	var out []stopping
	for _, r := range w.state.Containers {
		p, ok := w.probes.running[r.ID]
		if !ok || r.State != runtime.Running || p.Condemned() == "" {
			continue
		}
		out = append(out, stopping{id: r.ID, name: r.Name, grace: p.Grace(),
			message: fmt.Sprintf("Container %s failed %s probe, will be restarted", r.Name, strings.ToLower(p.Condemned()))})
	}
	return out
}

// probed is what the probes found: a container without any has started and is ready.
func (w *worker) probed(c *corev1.Container, id string) (started, ready bool) {
	if p, ok := w.probes.running[id]; ok {
		return p.Started(), p.Ready()
	}
	return c.StartupProbe == nil, c.StartupProbe == nil && c.ReadinessProbe == nil
}

// up says whether a running container has started.
func (w *worker) up(c *corev1.Container, id string) bool {
	started, _ := w.probed(c, id)
	return started
}

func specOf(pod *corev1.Pod, name string) *corev1.Container {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return &pod.Spec.Containers[i]
		}
	}
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.Name == name && sidecar(c) {
			return c
		}
	}
	return nil
}
