package pod_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func TestPodUpdate(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	old := kindtest.Prepare(k, kindtest.Decode(t, k, kindtest.PlainPod)).(*corev1.Pod)
	change := func(f func(*corev1.Pod)) *corev1.Pod {
		obj := old.DeepCopy()
		f(obj)
		return kindtest.PrepareChange(k, obj, old).(*corev1.Pod)
	}

	image := change(func(p *corev1.Pod) { p.Spec.Containers[0].Image = "busybox:1" })
	kindtest.WantErrors(t, kindtest.ValidateChange(k, image, old))
	if image.Generation != 2 {
		t.Errorf("generation %d after a new image, want 2", image.Generation)
	}
	label := change(func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"}; p.Status.Phase = corev1.PodRunning })
	kindtest.WantErrors(t, kindtest.ValidateChange(k, label, old))
	if label.Generation != 1 || label.Status.Phase != corev1.PodPending {
		t.Errorf("generation %d, phase %s after a new label, want 1, Pending", label.Generation, label.Status.Phase)
	}
	more := change(func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b", Image: "b"})
	})
	kindtest.WantErrors(t, kindtest.ValidateChange(k, more, old), "spec.containers: Forbidden: pod updates may not add or remove containers")

	errs := kindtest.ValidateChange(k, change(func(p *corev1.Pod) { p.Spec.Hostname = "other" }), old)
	want := "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
	if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) {
		t.Errorf("got %v, want it to begin with %s", errs, want)
	}
}

func TestPodDeadlineIsOnlyShortened(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	seconds := func(n int64) *corev1.Pod {
		obj := kindtest.Prepare(k, kindtest.Decode(t, k, kindtest.PlainPod)).(*corev1.Pod)
		if n > 0 {
			obj.Spec.ActiveDeadlineSeconds = &n
		}
		return obj
	}
	kindtest.WantErrors(t, kindtest.ValidateChange(k, seconds(5), seconds(0)))
	kindtest.WantErrors(t, kindtest.ValidateChange(k, seconds(4), seconds(5)))
	kindtest.WantErrors(t, kindtest.ValidateChange(k, seconds(6), seconds(5)), "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value")
	kindtest.WantErrors(t, kindtest.ValidateChange(k, seconds(0), seconds(5)), "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value")
}

func TestPodStatusUpdate(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	old := kindtest.Prepare(k, kindtest.Decode(t, k, kindtest.PlainPod)).(*corev1.Pod)
	obj := old.DeepCopy()
	obj.Spec.Hostname = "other"
	obj.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.244.0.2", HostIPs: []corev1.HostIP{{IP: "192.0.2.1"}}}
	k.PrepareStatusUpdate(obj, old)
	kindtest.WantErrors(t, k.ValidateStatusUpdate(obj, old))
	s := obj.Status
	if obj.Spec.Hostname != "" || s.QOSClass != corev1.PodQOSBestEffort || len(s.PodIPs) != 1 || s.PodIPs[0].IP != "10.244.0.2" || s.HostIP != "192.0.2.1" {
		t.Errorf("hostname %q, status %+v", obj.Spec.Hostname, s)
	}
}

func TestStatusOfAnOlderClientKeepsWhatWasObserved(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	old := kindtest.Decode(t, k, `{status: {observedGeneration: 4, conditions: [{type: Ready, status: "True", observedGeneration: 3}]}}`).(*corev1.Pod)
	obj := kindtest.Decode(t, k, `{status: {conditions: [{type: Ready, status: "False"}, {type: Other, status: "True"}, {type: Ready, status: "True", observedGeneration: 5}]}}`).(*corev1.Pod)
	k.PrepareStatusUpdate(obj, old)
	c := obj.Status.Conditions
	if obj.Status.ObservedGeneration != 4 || c[0].ObservedGeneration != 3 || c[1].ObservedGeneration != 0 || c[2].ObservedGeneration != 5 {
		t.Errorf("status %+v", obj.Status)
	}
}

func TestEndedContainersStayEnded(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	const container = `{spec: {restartPolicy: OnFailure}, status: {containerStatuses: [{name: a, state: `
	old := kindtest.Decode(t, k, container+`{terminated: {exitCode: 0}}}]}}`)
	obj := kindtest.Decode(t, k, container+`{running: {}}}]}}`)
	kindtest.WantErrors(t, k.ValidateStatusUpdate(obj, old), "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state")
	kindtest.WantErrors(t, k.ValidateStatusUpdate(obj, kindtest.Decode(t, k, container+`{terminated: {exitCode: 1}}}]}}`)))
}
