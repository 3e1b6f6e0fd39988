package pod_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/runtime/fake"
)

// sized gives the pod's first container cpu and memory, as request and as limit.
func sized(p *corev1.Pod, cpu, memory string) *corev1.Pod {
	list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: list, Limits: list.DeepCopy()}
	return p
}

// resize has the cluster change what the pod asks for, and waits for the status.
func (r *rig) resize(name, cpu, memory string) {
	r.t.Helper()
	p := sized(r.pod(name), cpu, memory)
	p.Generation++
	r.apply(p)
	r.after(time.Second)
}

// has checks what the pod's first container is said to have, and what it has.
func (r *rig) has(name, cpu, memory string) {
	r.t.Helper()
	want := sized(simple("any"), cpu, memory).Spec.Containers[0].Resources
	s := r.main(name)
	if s.Resources == nil || !same(s.Resources.Limits, want.Limits) || !same(s.Resources.Requests, want.Requests) || !same(s.AllocatedResources, want.Requests) {
		r.t.Errorf("%s has %+v and was granted %v, want %s and %s", name, s.Resources, s.AllocatedResources, cpu, memory)
	}
	kernel := runtime.Resources{
		CPUShares: uint64(want.Requests.Cpu().MilliValue() * 1024 / 1000), CPUQuotaUS: want.Limits.Cpu().MilliValue() * 100, MemoryBytes: want.Limits.Memory().Value(),
	}
	if got := r.runtime.Limits("uid-"+name, "main"); got != kernel {
		r.t.Errorf("%s runs with %+v, want %+v", name, got, kernel)
	}
}

func same(a, b corev1.ResourceList) bool {
	return len(a) == len(b) && a.Cpu().Equal(*b.Cpu()) && a.Memory().Equal(*b.Memory())
}

func (r *rig) noResize(name string) {
	r.t.Helper()
	for _, c := range []corev1.PodConditionType{corev1.PodResizePending, corev1.PodResizeInProgress} {
		if got := condition(r.pod(name), c); got != nil {
			r.t.Errorf("%s still has condition %+v", name, got)
		}
	}
}

func (r *rig) heard(want string) {
	r.t.Helper()
	if n := r.cluster.said(want); n != 1 {
		r.t.Errorf("%q was said %d times in %q", want, n, r.cluster.events)
	}
}

func TestResizeInPlace(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(sized(simple("web", "serve"), "500m", "128Mi"))
		r.has("web", "500m", "128Mi")
		before := r.main("web")
		r.resize("web", "1", "256Mi")
		r.has("web", "1", "256Mi")
		r.resize("web", "250m", "64Mi")
		r.has("web", "250m", "64Mi")
		r.noResize("web")
		if now := r.main("web"); now.ContainerID != before.ContainerID || now.RestartCount != 0 || !now.Ready {
			t.Errorf("the container was %+v and is %+v", before, now)
		}
		if p := r.pod("web"); p.Status.ObservedGeneration != 3 {
			t.Errorf("observed generation %d", p.Status.ObservedGeneration)
		}
		// The pod is never smaller than its container.
		large := runtime.Resources{CPUShares: 1024, CPUQuotaUS: 100_000, MemoryBytes: 256 << 20}
		small := runtime.Resources{CPUShares: 256, CPUQuotaUS: 25_000, MemoryBytes: 64 << 20}
		want := []fake.Resize{{Resources: large}, {Container: "main", Resources: large}, {Container: "main", Resources: small}, {Resources: small}}
		if got := r.runtime.Resizes("uid-web"); !slices.Equal(got, want) {
			t.Errorf("resized %+v, want %+v", got, want)
		}
		r.heard(`ResizeStarted: Pod resize started: {"containers":[{"name":"main","resources":{"limits":{"cpu":"1","memory":"256Mi"},"requests":{"cpu":"1","memory":"256Mi"}}}],"generation":2}`)
		r.heard(`ResizeCompleted: Pod resize completed: {"containers":[{"name":"main","resources":{"limits":{"cpu":"1","memory":"256Mi"},"requests":{"cpu":"1","memory":"256Mi"}}}],"generation":2}`)
	})
}

func TestResizeByRestart(t *testing.T) {
	for _, policy := range []corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure} {
		inBubble(t, busybox, func(t *testing.T, r *rig) {
			p := sized(simple("web", "serve"), "500m", "128Mi")
			p.Spec.RestartPolicy = policy
			p.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{
				{ResourceName: corev1.ResourceCPU, RestartPolicy: corev1.NotRequired},
				{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer},
			}
			r.apply(p)
			r.resize("web", "1", "128Mi")
			if n := r.main("web").RestartCount; n != 0 {
				t.Errorf("%d restarts for cpu, want none", n)
			}
			r.resize("web", "1", "256Mi")
			r.has("web", "1", "256Mi")
			r.noResize("web")
			if s := r.main("web"); s.RestartCount != 1 || s.State.Running == nil {
				t.Errorf("after a change of memory: %+v", s)
			}
			r.heard("Killing: Container main resize requires restart")
			if pod, err := r.runtime.Pod(t.Context(), "uid-web"); err != nil || pod.Sandbox.Resources.MemoryBytes != 256<<20 {
				t.Errorf("pod %+v, %v", pod.Sandbox, err)
			}
		})
	}
}

func TestResizeOfInitContainers(t *testing.T) {
	for name, policy := range map[string]*corev1.ContainerRestartPolicy{"sidecar": ptr.To(corev1.ContainerRestartPolicyAlways), "runs to its end": nil} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, busybox, func(t *testing.T, r *rig) {
				p := simple("web", "serve")
				p.Spec.InitContainers = []corev1.Container{{
					Name: "first", Image: "busybox", Command: []string{"serve"}, RestartPolicy: policy,
					Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
				}}
				r.apply(p)
				p = r.pod("web")
				p.Spec.InitContainers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse("96Mi")
				p.Generation++
				r.apply(p)
				r.after(time.Second)
				if got := r.runtime.Limits("uid-web", "first").MemoryBytes; got != 96<<20 {
					t.Errorf("the container has %d bytes", got)
				}
				if s := r.pod("web").Status.InitContainerStatuses[0]; s.RestartCount != 0 || s.Resources.Limits.Memory().Value() != 96<<20 {
					t.Errorf("the container is %+v", s)
				}
				r.noResize("web")
			})
		})
	}
}

func TestResizeWaitsForRoom(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(sized(simple("first", "serve"), "2", "1Gi"))
		r.apply(sized(simple("second", "serve"), "1", "1Gi"))
		r.resize("second", "2500m", "1Gi")
		c := condition(r.pod("second"), corev1.PodResizePending)
		if c == nil || c.Status != corev1.ConditionTrue || c.Reason != "Deferred" || c.ObservedGeneration != 2 ||
			c.Message != "Node didn't have enough resource: cpu, requested: 2500, used: 2000, capacity: 4000" {
			t.Errorf("condition %+v", c)
		}
		r.has("second", "1", "1Gi")
		r.heard(`ResizeDeferred: Pod resize Deferred: {"containers":[{"name":"main","resources":{"limits":{"cpu":"2500m","memory":"1Gi"},"requests":{"cpu":"2500m","memory":"1Gi"}}}],"generation":2,"error":"Node didn't have enough resource: cpu, requested: 2500, used: 2000, capacity: 4000"}`)
		// A smaller pod beside it makes room, without a word to the one that waits.
		r.resize("first", "1", "1Gi")
		r.has("second", "2500m", "1Gi")
		r.noResize("second")
	})
}

func TestResizeIsTriedWhenAPodGoes(t *testing.T) {
	ways := map[string]func(r *rig){
		"deleted": func(r *rig) { r.cluster.remove("first", 1) },
		"ended":   func(r *rig) { r.runtime.Kill("uid-first", "main", 0) },
	}
	for name, leave := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, busybox, func(t *testing.T, r *rig) {
				r.apply(with(sized(simple("first", "serve"), "2", "1Gi"), func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }))
				r.apply(sized(simple("second", "serve"), "1", "1Gi"))
				r.apply(with(sized(simple("third", "serve"), "1", "1Gi"), func(p *corev1.Pod) { p.Spec.Priority = ptr.To(int32(5)) }))
				r.resize("second", "3", "1Gi")
				r.resize("third", "2", "1Gi")
				leave(r)
				r.after(2 * time.Second)
				r.has("third", "2", "1Gi") // More important, though it asked later.
				r.has("second", "1", "1Gi")
			})
		})
	}
}

func TestResizeThatCannotBe(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(sized(simple("web", "serve"), "1", "1Gi"))
		r.resize("web", "5", "9Gi")
		c := condition(r.pod("web"), corev1.PodResizePending)
		if c == nil || c.Reason != "Infeasible" || c.Message != "Node didn't have enough capacity: memory, requested: 9663676416, capacity: 8589934592" {
			t.Errorf("condition %+v", c)
		}
		r.heard(`ResizeInfeasible: Pod resize Infeasible: {"containers":`)
		r.has("web", "1", "1Gi")
		r.resize("web", "1", "1Gi")
		r.noResize("web")
		if n := r.cluster.said("ResizeStarted"); n != 0 {
			t.Errorf("%d resizes were started", n)
		}
	})
}

func TestResizeBelowWhatIsInUse(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(sized(simple("web", "serve"), "1", "1Gi"))
		r.runtime.Use("uid-web", "main", 512<<20)
		r.resize("web", "1", "256Mi")
		const why = "cannot decrease memory limits: [attempting to set pod memory limit (268435456) below current usage (536870912), " +
			"attempting to set container \"main\" memory limit (268435456) below current usage (536870912)]"
		c := condition(r.pod("web"), corev1.PodResizeInProgress)
		if c == nil || c.Reason != "Error" || c.Message != why || c.ObservedGeneration != 2 {
			t.Errorf("condition %+v", c)
		}
		s := r.main("web")
		if s.Resources.Limits.Memory().Value() != 1<<30 || s.AllocatedResources.Memory().Value() != 256<<20 {
			t.Errorf("has %v and was granted %v", s.Resources, s.AllocatedResources)
		}
		r.after(time.Minute)
		r.heard("ResizeError: Pod resize error: ")
		r.runtime.Use("uid-web", "main", 1<<20)
		r.after(11 * time.Second)
		r.has("web", "1", "256Mi")
		r.noResize("web")
	})
}

// What was granted is on disk: an agent that starts gives nobody more than that.
func TestResizeOverARestartOfTheAgent(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(sized(simple("first", "serve"), "2", "1Gi"))
		r.apply(sized(simple("second", "serve"), "1", "1Gi"))
		r.resize("second", "3", "1Gi")
		r.end()
		// Nobody is there to hear of this one.
		r.cluster.put(with(sized(r.pod("first"), "1500m", "2Gi"), func(p *corev1.Pod) { p.Generation++ }))
		r.start()
		r.after(time.Second)
		r.has("first", "1500m", "2Gi")
		r.has("second", "1", "1Gi")
		r.heard("ResizeDeferred")
		if c := condition(r.pod("second"), corev1.PodResizePending); c == nil || c.Reason != "Deferred" {
			t.Errorf("condition %+v", c)
		}
		r.resize("first", "1", "2Gi")
		r.has("second", "3", "1Gi")
	})
}
