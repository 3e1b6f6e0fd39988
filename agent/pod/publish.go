package pod

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
)

func (w *worker) observation(pod *corev1.Pod) observation {
	return observation{
		pod: pod, state: w.state, found: w.found, podIP: w.podIP, nodeIP: w.cfg.NodeIPs,
		waits: w.waits, initialized: w.initialized, runtimeName: w.cfg.RuntimeName,
		probed: w.probed, stopped: w.stopped, expired: w.expired, resizing: w.resizing,
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
	w.m.ledger.Report(w.uid, &status)
	if calledLost(&pod.Status) && !calledLost(&status) && (w.cfg.NodeReady == nil || w.cfg.NodeReady()) {
		w.status.rewrite(pod, status)
		return
	}
	w.status.write(pod, status)
}
