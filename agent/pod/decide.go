package pod

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// plan is what a pod's worker has to do next.
type plan struct {
	// stop lists containers to stop, with the event's message.
	stop []stopping
	// start lists containers in order; beside an init container that has not begun
	// there are only ephemeral ones.
	start []starting
	// waiting names the containers that a back-off keeps from starting.
	waiting map[string]backingOff
	// resize lists containers that get other limits while they run.
	resize []resize
	// remove lists dead containers nobody will ask for any more.
	remove []string
	// initialized says that all init containers have done their part.
	initialized bool
	// finished says that nothing of the pod will run again.
	finished bool
	// again is when to decide anew although nothing happened; 0 for never.
	again time.Duration
}

type stopping struct {
	id, name, message string
	// grace is the pod's where it is 0.
	grace time.Duration
}

type starting struct {
	container *corev1.Container
	attempt   int
	// since is when the instance before ended; zero for the first.
	since time.Time
	// resized says that the instance before is stopped to make way for this one.
	resized bool
}

type backingOff struct {
	left, delay time.Duration
}

// patience says how long a container that ended at since has still to wait.
type patience func(name string, since time.Time) (left, delay time.Duration)

// started says whether a running container has passed its startup probe.
type started func(c *corev1.Container, id string) bool

// decide compares a pod that shall run with what is there. It is pure.
func decide(pod *corev1.Pod, state runtime.Pod, wait patience, up started) plan {
	p := plan{waiting: map[string]backingOff{}, initialized: true}
	latest := latestOf(state.Containers)
	p.remove = superseded(state.Containers, latest)
	if done, failed := terminal(pod, latest); done || failed {
		p.finished, p.initialized = true, anyMain(pod, latest)
		for _, c := range state.Containers {
			if c.State == runtime.Running {
				p.stop = append(p.stop, stopping{id: c.ID, name: c.Name, message: "Stopping container " + c.Name})
			}
		}
		return p
	}
	p.decideEphemeral(pod, latest)
	p.decideResize(pod, latest)
	if !p.decideInit(pod, latest, wait, up) {
		return p
	}
	for i := range pod.Spec.Containers {
		p.decideMain(pod, &pod.Spec.Containers[i], latest, wait)
	}
	return p
}

// decideEphemeral starts each ephemeral container once, whatever the others do.
func (p *plan) decideEphemeral(pod *corev1.Pod, latest map[string]runtime.Container) {
	for _, c := range ephemeral(&pod.Spec) {
		if _, ok := latest[c.Name]; !ok {
			p.start = append(p.start, starting{container: c})
		}
	}
}

// ephemeral returns the pod's ephemeral containers as what they have in common
// with others.
func ephemeral(spec *corev1.PodSpec) []*corev1.Container {
	var out []*corev1.Container
	for i := range spec.EphemeralContainers {
		out = append(out, (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
	return out
}

// decideInit walks the init containers in order; false while one is not done. A
// sidecar has done its part when it has started; later it runs beside the others.
func (p *plan) decideInit(pod *corev1.Pod, latest map[string]runtime.Container, wait patience, up started) bool {
	begun := false
	for i := range pod.Spec.Containers {
		_, ok := latest[pod.Spec.Containers[i].Name]
		begun = begun || ok
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		l, ok := latest[c.Name]
		switch {
		case sidecar(c):
			switch {
			case !ok:
				p.start = append(p.start, starting{container: c})
			case l.State == runtime.Exited:
				p.restart(c, l, wait)
			case up(c, l.ID):
				continue
			}
			if !begun {
				p.initialized = false
				return false
			}
		case begun:
		case !ok:
			p.start = append(p.start, starting{container: c})
			p.initialized = false
			return false
		case l.State == runtime.Exited && l.ExitCode == 0:
		case l.State == runtime.Exited:
			p.restart(c, l, wait)
			p.initialized = false
			return false
		default:
			p.initialized = false
			return false
		}
	}
	return true
}

func (p *plan) decideMain(pod *corev1.Pod, c *corev1.Container, latest map[string]runtime.Container, wait patience) {
	l, ok := latest[c.Name]
	switch {
	case !ok:
		p.start = append(p.start, starting{container: c})
	case l.State == runtime.Exited:
		if l.Hash != specHash(c) || restarts(pod.Spec.RestartPolicy, l.ExitCode) {
			p.restart(c, l, wait)
		}
	case l.Hash != specHash(c):
		p.stop = append(p.stop, stopping{id: l.ID, name: l.Name,
			message: fmt.Sprintf("Container %s definition changed, will be restarted", c.Name)})
	}
}

func (p *plan) restart(c *corev1.Container, l runtime.Container, wait patience) {
	if left, delay := wait(c.Name, l.FinishedAt); left > 0 {
		p.waiting[c.Name] = backingOff{left, delay}
		if p.again == 0 || left < p.again {
			p.again = left
		}
		return
	}
	p.start = append(p.start, starting{container: c, attempt: l.Attempt + 1, since: l.FinishedAt})
}

// remaining is how long a pod may still be active; false when it has no deadline.
func remaining(pod *corev1.Pod, since *metav1.Time, now time.Time) (time.Duration, bool) {
	if pod.Spec.ActiveDeadlineSeconds == nil || since == nil {
		return 0, false
	}
	return time.Duration(*pod.Spec.ActiveDeadlineSeconds)*time.Second - now.Sub(since.Time), true
}

// terminal says whether the pod has ended for good. A sidecar does not hold it up.
func terminal(pod *corev1.Pod, latest map[string]runtime.Container) (succeeded, failed bool) {
	policy := pod.Spec.RestartPolicy
	if policy == corev1.RestartPolicyNever {
		for i := range pod.Spec.InitContainers {
			c := &pod.Spec.InitContainers[i]
			if l, ok := latest[c.Name]; ok && !sidecar(c) && l.State == runtime.Exited && l.ExitCode != 0 && !anyMain(pod, latest) {
				return false, true
			}
		}
	}
	succeeded = true
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		l, ok := latest[c.Name]
		if !ok || l.State != runtime.Exited || restarts(policy, l.ExitCode) {
			return false, false
		}
		succeeded = succeeded && l.ExitCode == 0
	}
	return succeeded, !succeeded
}

func anyMain(pod *corev1.Pod, latest map[string]runtime.Container) bool {
	for i := range pod.Spec.Containers {
		if _, ok := latest[pod.Spec.Containers[i].Name]; ok {
			return true
		}
	}
	return false
}

func restarts(policy corev1.RestartPolicy, code int) bool {
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// latestOf is the highest attempt of each container.
func latestOf(all []runtime.Container) map[string]runtime.Container {
	latest := make(map[string]runtime.Container, len(all))
	for _, c := range all {
		if old, ok := latest[c.Name]; !ok || c.Attempt > old.Attempt {
			latest[c.Name] = c
		}
	}
	return latest
}

// previousOf is the one before the latest, as far as it is still there.
func previousOf(all []runtime.Container, latest runtime.Container) (runtime.Container, bool) {
	for _, c := range all {
		if c.Name == latest.Name && c.Attempt == latest.Attempt-1 {
			return c, true
		}
	}
	return runtime.Container{}, false
}

// superseded are dead instances before the previous one.
func superseded(all []runtime.Container, latest map[string]runtime.Container) []string {
	var ids []string
	for _, c := range all {
		if c.State == runtime.Exited && c.Attempt < latest[c.Name].Attempt-1 {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// specHash covers what may change while a container runs and needs a new one:
// its image. Other fields are immutable, and new ones must not restart anything.
func specHash(c *corev1.Container) string {
	b, err := json.Marshal([2]string{c.Name, c.Image})
	if err != nil {
		panic(err) // Two strings are always JSON.
	}
	h := fnv.New32a()
	h.Write(b)
	return fmt.Sprintf("%08x", h.Sum32())
}
