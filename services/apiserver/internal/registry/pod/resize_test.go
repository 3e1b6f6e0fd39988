package pod_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func TestResizePolicyValidation(t *testing.T) {
	checkRefusals(t, []refusal{
		{"both", `{containers: [{name: a, image: a, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: memory, restartPolicy: RestartContainer}]}]}`, ``},
		{"another resource", `{containers: [{name: a, image: a, resizePolicy: [{resourceName: storage, restartPolicy: NotRequired}]}]}`,
			`spec.containers[0].resizePolicy: Unsupported value: "storage": supported values: "cpu", "memory"`},
		{"another policy", `{containers: [{name: a, image: a, resizePolicy: [{resourceName: cpu, restartPolicy: RestartNotRequired}]}]}`,
			`spec.containers[0].resizePolicy: Unsupported value: "RestartNotRequired": supported values: "NotRequired", "RestartContainer"`},
		{"nothing said", `{containers: [{name: a, image: a, resizePolicy: [{}]}]}`,
			"spec.containers[0].resizePolicy: Required value\nspec.containers[0].resizePolicy: Required value"},
		{"twice", `{containers: [{name: a, image: a, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: cpu, restartPolicy: RestartContainer}]}]}`,
			`spec.containers[0].resizePolicy[1]: Duplicate value: "cpu"`},
		{"runs once", `{restartPolicy: Never, containers: [{name: a, image: a, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}]}`,
			"spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when pod `restartPolicy` is 'Never'"},
		{"init container", `{initContainers: [{name: i, image: a, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}], containers: [{name: a, image: a}]}`,
			`spec.initContainers[0].resizePolicy[0].restartPolicy: Invalid value: "RestartContainer": must not be set to 'RestartContainer' for non-sidecar initContainers`},
		{"sidecar", `{initContainers: [{name: i, image: a, restartPolicy: Always, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}], containers: [{name: a, image: a}]}`, ``},
	})
}

// resizable has a container of each kind, and one that was not given anything.
const resizable = `
metadata: {name: web, namespace: default, generation: 4}
spec:
  nodeName: n1
  initContainers:
  - {name: once, image: i, resources: {requests: {cpu: 100m}}}
  - {name: side, image: i, restartPolicy: Always, resources: {requests: {cpu: 100m}, limits: {memory: 64Mi}}}
  containers:
  - {name: a, image: i, resources: {requests: {cpu: 100m, memory: 64Mi, example.com/gpu: 1}, limits: {cpu: 200m, memory: 128Mi, example.com/gpu: 1}}}
  - {name: b, image: i, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]}
status: {phase: Running, qosClass: Burstable}
`

// What may be resized, and how refusals are worded, is what Kubernetes' "Resize CPU
// and Memory Resources assigned to Containers" and its ValidatePodResize say.
func TestResize(t *testing.T) {
	set := func(list *corev1.ResourceList, name corev1.ResourceName, quantity string) {
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = resource.MustParse(quantity)
	}
	const cpu, memory = corev1.ResourceCPU, corev1.ResourceMemory
	for _, test := range []struct {
		name   string
		change func(p *corev1.Pod)
		want   string // errors, a line each
	}{
		{"more", func(p *corev1.Pod) {
			set(&p.Spec.Containers[0].Resources.Limits, cpu, "1")
			set(&p.Spec.Containers[0].Resources.Requests, memory, "128Mi")
		}, ""},
		{"less memory", func(p *corev1.Pod) {
			set(&p.Spec.Containers[0].Resources.Limits, memory, "64Mi")
		}, ""},
		{"the first of it", func(p *corev1.Pod) { set(&p.Spec.Containers[1].Resources.Limits, cpu, "1") }, ""},
		{"a sidecar", func(p *corev1.Pod) { set(&p.Spec.InitContainers[1].Resources.Limits, memory, "1Gi") }, ""},
		{"an init container", func(p *corev1.Pod) { set(&p.Spec.InitContainers[0].Resources.Requests, cpu, "1") }, ""},
		{"a request above its limit", func(p *corev1.Pod) { set(&p.Spec.Containers[0].Resources.Requests, cpu, "1") },
			`spec.containers[0].resources.requests: Invalid value: "1": must be less than or equal to cpu limit of 200m`},
		{"without a request", func(p *corev1.Pod) { delete(p.Spec.Containers[0].Resources.Requests, "example.com/gpu") }, ""}, // The limit is one.
		{"without a limit", func(p *corev1.Pod) { delete(p.Spec.Containers[0].Resources.Limits, memory) },
			"spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"},
		{"without anything", func(p *corev1.Pod) { p.Spec.InitContainers[0].Resources = corev1.ResourceRequirements{} },
			"spec.initContainers[0].resources.requests: Forbidden: resource requests cannot be removed"},
		{"another device", func(p *corev1.Pod) {
			set(&p.Spec.Containers[0].Resources.Requests, "example.com/gpu", "2")
			set(&p.Spec.Containers[0].Resources.Limits, "example.com/gpu", "2")
		}, "spec: Forbidden: only cpu and memory resources are mutable"},
		{"room on disk", func(p *corev1.Pod) {
			set(&p.Spec.InitContainers[1].Resources.Requests, corev1.ResourceEphemeralStorage, "1Gi")
		}, "spec.initContainers[1]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable"},
		{"another policy", func(p *corev1.Pod) { p.Spec.Containers[1].ResizePolicy[0].RestartPolicy = corev1.RestartContainer },
			"spec: Forbidden: only cpu and memory resources are mutable"},
		{"another order", func(p *corev1.Pod) {
			p.Spec.Containers[0], p.Spec.Containers[1] = p.Spec.Containers[1], p.Spec.Containers[0]
		}, "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize\n" +
			"spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize"},
		{"another name", func(p *corev1.Pod) { p.Spec.InitContainers[0].Name = "first" },
			"spec.initContainers[0].name: Forbidden: initContainers may not be renamed or reordered on resize"},
		{"one more", func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "c", Image: "i", ImagePullPolicy: corev1.PullAlways, TerminationMessagePolicy: corev1.TerminationMessageReadFile})
		}, "spec.containers: Forbidden: containers may not be added or removed on resize"},
		{"one less", func(p *corev1.Pod) { p.Spec.InitContainers = p.Spec.InitContainers[:1] },
			"spec.initContainers: Forbidden: initContainers may not be added or removed on resize"},
	} {
		t.Run(test.name, func(t *testing.T) { checkResize(t, resizable, test.change, test.want) })
	}
}

func TestResizeOfPodsThatCannotBe(t *testing.T) {
	more := func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	}
	const spec = "spec: {containers: [{name: a, image: i, resources: {requests: {cpu: 1}}}]}\n"
	for _, test := range []struct{ name, pod, want string }{
		{"static", "metadata: {name: web, annotations: {kubernetes.io/config.mirror: x}}\n" + spec, "[]: Forbidden: static pods cannot be resized"},
		{"of a node that knows of none", spec + "status: {qosClass: Burstable, containerStatuses: [{name: a, state: {running: {}}}]}",
			"spec: Forbidden: Pod running on node without support for resize"},
		{"of a node that does", spec + "status: {qosClass: Burstable, containerStatuses: [{name: a, state: {running: {}}, resources: {}}]}", ""},
		{"not guaranteed any more", "spec: {containers: [{name: a, image: i, resources: {limits: {cpu: 2, memory: 1Gi}, requests: {cpu: 2, memory: 1Gi}}}]}\nstatus: {qosClass: Guaranteed}",
			"spec: Invalid value: \"Guaranteed\": Pod QOS Class may not change as a result of resizing"},
		{"best effort", "spec: {containers: [{name: a, image: i}]}\nstatus: {qosClass: BestEffort}",
			"spec: Invalid value: \"BestEffort\": Pod QOS Class may not change as a result of resizing"},
	} {
		change := more
		if test.name == "not guaranteed any more" {
			change = func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("1")
			}
		}
		t.Run(test.name, func(t *testing.T) { checkResize(t, test.pod, change, test.want) })
	}
}

// checkResize changes a pod by its subresource. Whatever else the client changes is
// as it was.
func checkResize(t *testing.T, manifest string, change func(p *corev1.Pod), want string) *corev1.Pod {
	t.Helper()
	k := kindtest.Kind(t, "pods")
	sub, ok := k.Subresource("resize")
	if !ok {
		t.Fatal("pods have no resize")
	}
	old := kindtest.Decode(t, k, manifest).(*corev1.Pod)
	k.Default(old)
	obj := old.DeepCopy()
	obj.Labels, obj.Spec.Hostname, obj.Status.Phase = map[string]string{"a": "b"}, "other", corev1.PodFailed
	change(obj)
	k.Default(obj)
	sub.PrepareUpdate(obj, old)
	errs := append(kindtest.Validate(k, obj), sub.ValidateUpdate(obj, old)...)
	var lines []string
	if want != "" {
		lines = strings.Split(want, "\n")
	}
	kindtest.WantErrors(t, errs, lines...)
	if want == "" && (len(obj.Labels) != 0 || obj.Spec.Hostname != old.Spec.Hostname || obj.Status.Phase != old.Status.Phase) {
		t.Errorf("labels %v, hostname %q, phase %s were changed by the way", obj.Labels, obj.Spec.Hostname, obj.Status.Phase)
	}
	return obj
}

func TestResizeCountsGenerations(t *testing.T) {
	for cpu, want := range map[string]int64{"100m": 4, "0.1": 4, "150m": 5} {
		obj := checkResize(t, resizable, func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse(cpu)
		}, "")
		if obj.Generation != want {
			t.Errorf("generation %d after cpu %s, want %d", obj.Generation, cpu, want)
		}
	}
}
