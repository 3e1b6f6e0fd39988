package pod_test

import (
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

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

// The image's user, here root, keeps its number and gets the group.
func TestGroupWithoutUser(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(with(simple("web", "serve"), func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsGroup: ptr.To(int64(3000))}
		}))
		if p := r.pod("web"); p.Status.Phase != corev1.PodRunning {
			t.Errorf("with runAsGroup alone: %+v", p.Status)
		}
	})
}

// A handler that the node has not is said once in a while, and the pod waits.
func TestRuntimeClass(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		for _, class := range []string{"runc", "vm"} {
			r.apply(with(simple(class, "serve"), func(p *corev1.Pod) { p.Spec.RuntimeClassName = &class }))
		}
		r.after(2 * time.Second)
		if p := r.pod("runc"); p.Status.Phase != corev1.PodRunning {
			t.Errorf("with the handler that every node has: %+v", p.Status)
		}
		if p := r.pod("vm"); p.Status.Phase != corev1.PodPending {
			t.Errorf("with a handler that the node has not: %+v", p.Status)
		}
		if r.cluster.said(`FailedCreatePodSandBox: Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "vm" is configured`) == 0 {
			t.Error("nothing is said of the handler that the node has not")
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

// The others of a pod whose init container failed were never made.
func TestFailedInitContainer(t *testing.T) {
	inBubble(t, busybox, func(t *testing.T, r *rig) {
		r.apply(with(simple("web", "serve"), func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Spec.InitContainers = []corev1.Container{{Name: "one", Image: "busybox", Command: []string{"exit", "1"}}}
		}))
		r.after(2 * time.Second)
		p := r.pod("web")
		if w := r.main("web").State.Waiting; p.Status.Phase != corev1.PodFailed || w == nil || w.Reason != "PodInitializing" {
			t.Errorf("phase %s, main waits for %+v", p.Status.Phase, w)
		}
		c := condition(p, corev1.PodInitialized)
		if c.Status != corev1.ConditionFalse || c.Reason != "ContainersNotInitialized" || c.Message != "containers with incomplete status: [one]" {
			t.Errorf("initialized %+v", c)
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
