package pod

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// resize is a container that runs and gets other limits.
type resize struct {
	container *corev1.Container
	id        string
	from, to  size
}

// size is what of a container may change while it runs; zero is none.
type size struct {
	cpuRequest, cpuLimit       int64 // thousandths of a core
	memoryRequest, memoryLimit int64 // bytes
}

func sizeOf(r *corev1.ResourceRequirements) size {
	return size{
		cpuRequest: r.Requests.Cpu().MilliValue(), cpuLimit: r.Limits.Cpu().MilliValue(),
		memoryRequest: r.Requests.Memory().Value(), memoryLimit: r.Limits.Memory().Value(),
	}
}

// differs tells which resources are of another size.
func (s size) differs(o size) []corev1.ResourceName {
	var out []corev1.ResourceName
	if s.cpuRequest != o.cpuRequest || s.cpuLimit != o.cpuLimit {
		out = append(out, corev1.ResourceCPU)
	}
	if s.memoryRequest != o.memoryRequest || s.memoryLimit != o.memoryLimit {
		out = append(out, corev1.ResourceMemory)
	}
	return out
}

// decideResize finds the running containers that have another size than they were
// granted. What does not run gets its size when it starts.
func (p *plan) decideResize(pod *corev1.Pod, latest map[string]runtime.Container) {
	for i := range pod.Spec.InitContainers {
		p.decideSize(&pod.Spec.InitContainers[i], latest)
	}
	for i := range pod.Spec.Containers {
		p.decideSize(&pod.Spec.Containers[i], latest)
	}
}

func (p *plan) decideSize(c *corev1.Container, latest map[string]runtime.Container) {
	l, ok := latest[c.Name]
	if !ok || l.State != runtime.Running {
		return
	}
	now := has(l)
	r := resize{container: c, id: l.ID, from: sizeOf(&now), to: sizeOf(&c.Resources)}
	switch changed := r.from.differs(r.to); {
	case len(changed) == 0:
	case restartsFor(c, changed):
		p.stop = append(p.stop, stopping{id: l.ID, name: c.Name, message: fmt.Sprintf("Container %s resize requires restart", c.Name)})
		p.start = append(p.start, starting{container: c, attempt: l.Attempt + 1, resized: true})
	default:
		p.resize = append(p.resize, r)
	}
}

// resizes tells whether the plan gives any container another size.
func (p *plan) resizes() bool {
	return len(p.resize) > 0 || slices.ContainsFunc(p.start, func(s starting) bool { return s.resized })
}

// restartsFor tells whether a change of any of the resources needs a new start.
func restartsFor(c *corev1.Container, changed []corev1.ResourceName) bool {
	return slices.ContainsFunc(c.ResizePolicy, func(p corev1.ContainerResizePolicy) bool {
		return p.RestartPolicy == corev1.RestartContainer && slices.Contains(changed, p.ResourceName)
	})
}

var resizable = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}

// requirements are what a container's limits are made from, for the runtime to keep.
func requirements(c *corev1.Container) string {
	only := func(list corev1.ResourceList) corev1.ResourceList {
		var out corev1.ResourceList
		for _, name := range resizable {
			if q, ok := list[name]; ok {
				if out == nil {
					out = corev1.ResourceList{}
				}
				out[name] = q
			}
		}
		return out
	}
	b, err := json.Marshal(corev1.ResourceRequirements{Limits: only(c.Resources.Limits), Requests: only(c.Resources.Requests)})
	if err != nil {
		panic(err) // Quantities are always JSON.
	}
	return string(b)
}

// has reads requirements back. A container of an agent that wrote none has none:
// it is resized, once, to what it has already.
func has(c runtime.Container) corev1.ResourceRequirements {
	var r corev1.ResourceRequirements
	if c.Requirements != "" {
		_ = json.Unmarshal([]byte(c.Requirements), &r) // What cannot be read is none, too.
	}
	return r
}

// actual is what a container has now: one that does not run, what it will have.
func actual(c *corev1.Container, l runtime.Container) *corev1.ResourceRequirements {
	out := c.Resources.DeepCopy()
	if l.State != runtime.Running {
		return out
	}
	now := has(l)
	for _, side := range []struct{ out, now corev1.ResourceList }{{out.Limits, now.Limits}, {out.Requests, now.Requests}} {
		for _, name := range resizable {
			q, ok := side.now[name]
			switch {
			case side.out == nil:
			case ok:
				side.out[name] = q
			default:
				delete(side.out, name)
			}
		}
	}
	return out
}
