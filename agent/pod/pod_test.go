package pod_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// inBubble runs a test on a node in virtual time, ends the node and lets the
// bubble find what it left running.
func inBubble(t *testing.T, images []string, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, images...)
		defer func() { r.end() }()
		synctest.Wait()
		test(t, r)
	})
}

var busybox = []string{"busybox", "other"}

func TestPodRuns(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("web", "serve"))
		p := r.pod("web")
		if p.Status.Phase != corev1.PodRunning || p.Status.PodIP != "10.244.0.1" || p.Status.HostIP != "192.0.2.1" {
			t.Fatalf("status %+v", p.Status)
		}
		for _, c := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
			if got := condition(p, c); got == nil || got.Status != corev1.ConditionTrue {
				t.Errorf("condition %s is %+v", c, got)
			}
		}
		if p.Status.QOSClass != corev1.PodQOSBestEffort || p.Status.StartTime == nil {
			t.Errorf("QoS %s, start %v", p.Status.QOSClass, p.Status.StartTime)
		}
		c := r.main("web")
		if !c.Ready || c.State.Running == nil || !strings.HasPrefix(c.ContainerID, "fake://") {
			t.Errorf("container %+v", c)
		}
		for _, want := range []string{`Pulling: Pulling image "busybox"`, `Pulled: Successfully pulled image "busybox" in 0s (0s including waiting). Image size: 1048576 bytes.`, "Created: ", "Started: Started container main"} {
			if r.cluster.said(want) != 1 {
				t.Errorf("events %q lack %q", r.cluster.events, want)
			}
		}
		// Nothing changes, nothing is written.
		before := r.cluster.written()
		r.after(10 * time.Minute)
		if n := r.cluster.written() - before; n != 0 {
			t.Errorf("%d status writes of a pod at rest", n)
		}
	})
}

func condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

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

func TestImageBackOff(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		r.apply(simple("web", "serve"))
		w := r.main("web").State.Waiting
		if w == nil || w.Reason != "ErrImagePull" || !strings.HasSuffix(w.Message, "docker.io/library/busybox:latest: not found") {
			t.Fatalf("waiting %+v", w)
		}
		r.after(4 * time.Second)
		w = r.main("web").State.Waiting
		if w.Reason != "ImagePullBackOff" || w.Message != `Back-off pulling image "busybox"` {
			t.Errorf("waiting %+v", w)
		}
		r.after(26 * time.Second) // Pulls at 0, 10 and 30 s.
		if n := r.runtime.Pulls(); n != 3 {
			t.Errorf("%d pulls in 30 s, want 3", n)
		}
		r.runtime.Publish("busybox")
		r.after(time.Minute)
		if p := r.pod("web"); p.Status.Phase != corev1.PodRunning {
			t.Errorf("once the image is there: %+v", p.Status)
		}
	})
}

func TestContainersThatCannotBeMade(t *testing.T) {
	tests := map[string]struct {
		change func(p *corev1.Pod)
		reason string
		words  string
	}{
		"never pull": {func(p *corev1.Pod) { p.Spec.Containers[0].ImagePullPolicy = corev1.PullNever },
			"ErrImageNeverPull", `Container image "busybox" is not present with pull policy of Never`},
		"image name": {func(p *corev1.Pod) { p.Spec.Containers[0].Image = "Busybox" },
			"InvalidImageName", `Failed to apply default image tag "Busybox": couldn't parse image name "Busybox": invalid reference format: repository name (library/Busybox) must be lowercase`},
		"config map": {func(p *corev1.Pod) {
			p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cfg"}}}}
		}, "CreateContainerConfigError", `configmap "cfg" not found`},
		"secret key": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "there"}, Key: "k"}}}}
		}, "CreateContainerConfigError", `couldn't find key k in Secret default/there`},
		"non-root": {func(p *corev1.Pod) {
			yes := true
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
		}, "CreateContainerConfigError", `container has runAsNonRoot and image will run as root (pod: "web_default(uid-web)", container: main)`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, busybox, func(t *testing.T, r *rig) {
				r.cluster.secrets["there"] = &corev1.Secret{}
				p := simple("web", "serve")
				tc.change(p)
				r.apply(p)
				if w := r.main("web").State.Waiting; w == nil || w.Reason != tc.reason || w.Message != tc.words {
					t.Errorf("waiting %+v, want %s: %s", w, tc.reason, tc.words)
				}
				if r.pod("web").Status.Phase != corev1.PodPending {
					t.Errorf("phase %s", r.pod("web").Status.Phase)
				}
			})
		})
	}
}

func TestConfigMapAppears(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(with(simple("web", "print", "$(A)", "$(B)", "$$(A)"), func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "cfg"}, Key: "k"}}}}
		}))
		r.cluster.mu.Lock()
		r.cluster.maps["cfg"] = &corev1.ConfigMap{Data: map[string]string{"k": "value"}}
		r.cluster.mu.Unlock()
		r.after(20 * time.Second)
		b, err := os.ReadFile(r.dir + "/logs/default_web_uid-web/main/0.log")
		if err != nil || !strings.HasSuffix(string(b), "value $(B) $(A)\n") {
			t.Errorf("log %q, %v", b, err)
		}
	})
}

func TestInitContainers(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(with(simple("web", "serve"), func(p *corev1.Pod) {
			for _, name := range []string{"one", "two"} {
				p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: name, Image: "busybox", Command: []string{"sleep", "5"}})
			}
		}))
		p := r.pod("web")
		if w := r.main("web").State.Waiting; w == nil || w.Reason != "PodInitializing" {
			t.Errorf("main waits for %+v", w)
		}
		if p.Status.InitContainerStatuses[0].State.Running == nil || p.Status.InitContainerStatuses[1].State.Waiting == nil {
			t.Errorf("init containers %+v", p.Status.InitContainerStatuses)
		}
		if c := condition(p, corev1.PodInitialized); c.Reason != "ContainersNotInitialized" || c.Message != "containers with incomplete status: [one two]" {
			t.Errorf("initialized %+v", c)
		}
		r.after(6 * time.Second)
		if c := condition(r.pod("web"), corev1.PodInitialized); c.Message != "containers with incomplete status: [two]" {
			t.Errorf("initialized %+v", c)
		}
		r.after(5 * time.Second)
		if p := r.pod("web"); p.Status.Phase != corev1.PodRunning || p.Status.InitContainerStatuses[1].State.Terminated.Reason != "Completed" {
			t.Errorf("status %+v", p.Status)
		}
	})
}

func TestExecProbeDecidesReadiness(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		p := simple("asked", "serve")
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 1, SuccessThreshold: 1,
			ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"ready"}}}}
		r.apply(p)
		for _, ready := range []bool{false, true, false} {
			r.runtime.SetReady(ready)
			r.after(3 * time.Second)
			if got := r.main("asked").Ready; got != ready {
				t.Errorf("ready is %v, want %v", got, ready)
			}
		}
		if r.cluster.said("Unhealthy: Readiness probe failed: not ready") == 0 {
			t.Errorf("events %q", r.cluster.events)
		}
		p = simple("mistaken", "serve")
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{PeriodSeconds: 1,
			ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"nosuch"}}}}
		r.apply(p)
		r.after(5 * time.Second)
		if r.main("mistaken").Ready || r.cluster.said("Unhealthy: Readiness probe errored and resulted in unknown state: exec in container ") == 0 {
			t.Errorf("events %q", r.cluster.events)
		}
	})
}

func TestDeadline(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		p := simple("short", "serve")
		seconds := int64(60)
		p.Spec.ActiveDeadlineSeconds = &seconds
		r.apply(p)
		r.after(58 * time.Second)
		if p := r.pod("short"); p.Status.Phase != corev1.PodRunning {
			t.Fatalf("before its deadline: %+v", p.Status)
		}
		r.after(2 * time.Minute)
		s := r.pod("short").Status
		if s.Phase != corev1.PodFailed || s.Reason != "DeadlineExceeded" || s.Message != "Pod was active on the node longer than the specified deadline" {
			t.Errorf("after its deadline: %s %s: %s", s.Phase, s.Reason, s.Message)
		}
		if s.ContainerStatuses[0].State.Terminated == nil {
			t.Errorf("its container: %+v", s.ContainerStatuses[0].State)
		}
		if n := r.cluster.said("DeadlineExceeded: Pod was active on the node longer than the specified deadline"); n != 1 {
			t.Errorf("said %d times: %q", n, r.cluster.events)
		}
	})
}

func TestDeletionLeavesNothing(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("stubborn", "ignore-term"))
		r.apply(simple("polite", "serve"))
		var last corev1.PodStatus
		r.cluster.onDelete = func(p *corev1.Pod) { last = p.Status }
		r.cluster.remove("polite", 30)
		r.cluster.remove("stubborn", 7)
		r.after(6 * time.Second)
		if r.cluster.get("polite") != nil {
			t.Error("a pod that ended at once is still there")
		}
		if r.cluster.get("stubborn") == nil {
			t.Error("a pod was removed before its grace")
		}
		if c := last.ContainerStatuses; last.Phase != corev1.PodFailed || len(c) != 1 || c[0].State.Terminated.ExitCode != 143 {
			t.Errorf("last status %+v", last)
		}
		r.after(2 * time.Second)
		if r.cluster.get("stubborn") != nil {
			t.Error("a pod outlives its grace")
		}
		r.empty()
		if r.cluster.said("Killing: Stopping container main") != 2 {
			t.Errorf("events %q", r.cluster.events)
		}
	})
}

// empty checks that nothing of any pod is left.
func (r *rig) empty() {
	r.t.Helper()
	pods, err := r.runtime.Pods(r.t.Context())
	if err != nil || len(pods) != 0 {
		r.t.Errorf("runtime has %+v, %v", pods, err)
	}
	if len(r.cluster.addresses) != 0 {
		r.t.Errorf("addresses %v", r.cluster.addresses)
	}
	for _, dir := range []string{"/pods", "/logs"} {
		if entries, err := os.ReadDir(r.dir + dir); err == nil && len(entries) != 0 {
			r.t.Errorf("%s has %v", dir, entries)
		}
	}
}

func TestShorterGraceHastens(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(simple("web", "ignore-term"))
		r.cluster.remove("web", 600)
		r.after(5 * time.Second)
		r.cluster.remove("web", 6)
		r.after(2 * time.Second)
		if r.cluster.get("web") != nil {
			t.Error("a shorter grace does not hasten the end")
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

func TestNodeTakenForLostSaysOtherwiseWhenItIsBack(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		ready := func() corev1.ConditionStatus {
			for _, c := range r.pod("web").Status.Conditions {
				if c.Type == corev1.PodReady {
					return c.Status
				}
			}
			return ""
		}
		callLost := func() {
			p := r.pod("web")
			for i := range p.Status.Conditions {
				if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady {
					c.Status, c.Reason = corev1.ConditionFalse, "NodeNotReady"
				}
			}
			n, _ := strconv.Atoi(p.ResourceVersion)
			p.ResourceVersion = strconv.Itoa(n + 1)
			r.apply(p)
		}
		r.apply(simple("web", "serve"))
		r.lost.Store(true)
		callLost()
		r.after(2 * time.Minute)
		if got := ready(); got != corev1.ConditionFalse {
			t.Errorf("while the node counts as lost its pod is ready: %s", got)
		}
		r.lost.Store(false)
		r.manager.Reassert()
		synctest.Wait()
		if got := ready(); got != corev1.ConditionTrue {
			t.Errorf("after the node came back its pod is ready: %s", got)
		}
		callLost() // by one who has not heard yet
		if got := ready(); got != corev1.ConditionTrue {
			t.Errorf("after a late word its pod is ready: %s", got)
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

func TestClusterAwayKeepsPodsAndTellsLater(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.cluster.mu.Lock()
		r.cluster.down = true
		r.cluster.mu.Unlock()
		r.apply(simple("web", "serve"))
		r.after(time.Minute)
		if len(r.pod("web").Status.ContainerStatuses) != 0 {
			t.Fatal("the cluster was not away")
		}
		r.cluster.mu.Lock()
		r.cluster.down = false
		r.cluster.mu.Unlock()
		r.after(10 * time.Second)
		if p := r.pod("web"); p.Status.Phase != corev1.PodRunning {
			t.Errorf("status %+v", p.Status)
		}
	})
}
