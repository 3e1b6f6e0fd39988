package pod_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestCrashLoop(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		begin := time.Now()
		r.apply(simple("crash", "exit", "1"))
		var restarts []time.Duration
		last := int32(0)
		for time.Since(begin) < 12*time.Minute {
			r.after(500 * time.Millisecond)
			if c := r.main("crash"); c.RestartCount != last {
				last = c.RestartCount
				restarts = append(restarts, time.Since(begin).Round(time.Second))
			}
		}
		// At once, then 10 s, 20 s, 40 s, 80 s, 160 s and 300 s after the one before.
		want := []time.Duration{1, 10, 30, 70, 150, 310, 610}
		if len(restarts) != len(want) {
			t.Fatalf("restarts at %v, want about %v seconds", restarts, want)
		}
		for i := range want {
			if d := restarts[i] - want[i]*time.Second; d < -2*time.Second || d > 2*time.Second {
				t.Errorf("restart %d at %v, want about %vs", i+1, restarts[i], int(want[i]))
			}
		}
		c := r.main("crash")
		w := c.State.Waiting
		if w == nil || w.Reason != "CrashLoopBackOff" || w.Message != "back-off 5m0s restarting failed container=main pod=crash_default(uid-crash)" {
			t.Errorf("waiting %+v", w)
		}
		if term := c.LastTerminationState.Terminated; term == nil || term.ExitCode != 1 || term.Reason != "Error" {
			t.Errorf("last state %+v", c.LastTerminationState)
		}
		p := r.pod("crash")
		if got := condition(p, corev1.PodReady); got.Reason != "ContainersNotReady" || got.Message != "containers with unready status: [main]" {
			t.Errorf("ready condition %+v", got)
		}
		if p.Status.Phase != corev1.PodRunning {
			t.Errorf("phase %s", p.Status.Phase)
		}
		if r.cluster.said("BackOff: Back-off restarting failed container main in pod crash_default(uid-crash)") == 0 {
			t.Errorf("events %q", r.cluster.events)
		}
	})
}

func TestOutcomes(t *testing.T) {
	tests := map[string]struct {
		policy  corev1.RestartPolicy
		command []string
		memory  string
		phase   corev1.PodPhase
		reason  string
		code    int32
	}{
		"completed":          {corev1.RestartPolicyNever, []string{"exit", "0"}, "", corev1.PodSucceeded, "Completed", 0},
		"on failure, well":   {corev1.RestartPolicyOnFailure, []string{"exit", "0"}, "", corev1.PodSucceeded, "Completed", 0},
		"failed":             {corev1.RestartPolicyNever, []string{"exit", "42"}, "", corev1.PodFailed, "Error", 42},
		"killed for memory":  {corev1.RestartPolicyNever, []string{"eat-memory"}, "16Mi", corev1.PodFailed, "OOMKilled", 137},
		"cannot be started":  {corev1.RestartPolicyNever, []string{"nothing"}, "", corev1.PodFailed, "StartError", 128},
		"succeeds some time": {corev1.RestartPolicyNever, []string{"sleep", "5"}, "", corev1.PodSucceeded, "Completed", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, busybox, func(t *testing.T, r *rig) {
				r.apply(with(simple("job", tc.command...), func(p *corev1.Pod) {
					p.Spec.RestartPolicy = tc.policy
					if tc.memory != "" {
						p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(tc.memory)}
					}
				}))
				r.after(10 * time.Second)
				p := r.pod("job")
				term := r.main("job").State.Terminated
				if p.Status.Phase != tc.phase || term == nil || term.Reason != tc.reason || term.ExitCode != tc.code {
					t.Errorf("phase %s, container %+v", p.Status.Phase, r.main("job"))
				}
				if c := condition(p, corev1.PodReady); tc.phase == corev1.PodSucceeded && c.Reason != "PodCompleted" {
					t.Errorf("ready %+v", c)
				}
				if len(r.cluster.addresses) != 0 {
					t.Errorf("an ended pod keeps its address: %v", r.cluster.addresses)
				}
			})
		})
	}
}

func TestStartErrorIsWaitedFor(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("web", "nothing"))
		r.after(time.Second)
		c := r.main("web")
		if w := c.State.Waiting; w == nil || w.Reason != "CrashLoopBackOff" && w.Reason != "RunContainerError" {
			t.Errorf("state %+v", c.State)
		}
		if l := c.LastTerminationState.Terminated; l == nil || l.Reason != "StartError" || l.ExitCode != 128 || !strings.Contains(l.Message, "executable file not found") {
			t.Errorf("last state %+v", c.LastTerminationState)
		}
	})
}

func TestRestartAdopts(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("web", "serve"))
		r.apply(simple("later", "serve"))
		r.apply(simple("gone", "serve"))
		before := r.main("web")
		r.end()
		r.runtime.Kill("uid-later", "main", 9) // While nobody looks.
		r.cluster.mu.Lock()
		delete(r.cluster.pods, "gone")
		writes := r.cluster.writes
		r.cluster.mu.Unlock()
		r.start()
		r.after(2 * time.Second)
		if after := r.main("web"); after.ContainerID != before.ContainerID || after.RestartCount != 0 {
			t.Errorf("was %+v, is %+v", before, after)
		}
		if c := r.main("later"); c.RestartCount != 1 || c.LastTerminationState.Terminated.ExitCode != 9 {
			t.Errorf("ended meanwhile: %+v", c)
		}
		if _, err := r.runtime.Pod(t.Context(), "uid-gone"); err == nil {
			t.Error("a pod that the cluster forgot still runs")
		}
		r.cluster.mu.Lock()
		defer r.cluster.mu.Unlock()
		if n := r.cluster.writes - writes; n > 2 {
			t.Errorf("%d status writes after a restart, want those of one restarted container", n)
		}
	})
}

func TestImageChangeRestartsContainer(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("web", "serve"))
		p := r.pod("web")
		p.Spec.Containers[0].Image = "other"
		p.Generation++
		r.apply(p)
		r.after(2 * time.Second)
		if c := r.main("web"); c.RestartCount != 1 || c.State.Running == nil || c.Image != "docker.io/library/other:latest" {
			t.Errorf("container %+v", c)
		}
		if r.cluster.said("Killing: Container main definition changed, will be restarted") != 1 {
			t.Errorf("events %q", r.cluster.events)
		}
	})
}

// A container that cannot be made is told of at each try, so that its event
// counts them.
func TestTriesAreCounted(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(with(simple("web", "serve"), func(p *corev1.Pod) {
			p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cfg"}}}}
		}))
		r.after(time.Minute)
		if n := r.cluster.said(`Failed: Error: configmap "cfg" not found`); n < 12 || n > 16 {
			t.Errorf("told of %d times in a minute of tries 5 s apart", n)
		}
	})
}
