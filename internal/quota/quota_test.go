package quota_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/internal/quota"
)

func read[T any](t *testing.T, text string) *T {
	t.Helper()
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func show(list corev1.ResourceList) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(list)) {
		value := list[name]
		parts = append(parts, fmt.Sprintf("%s=%s", name, value.String()))
	}
	return strings.Join(parts, " ")
}

// The names are those of "Resource Quotas" in Kubernetes' documentation.
func TestUsage(t *testing.T) {
	const sized = "spec: {containers: [{name: a, resources: {requests: {cpu: 1}, limits: {cpu: 1}}}]}\n"
	pod := `spec: {containers: [{name: a, resources: {requests: {cpu: 500m, memory: 1Gi, hugepages-2Mi: 4Mi, example.com/gpu: 2}, limits: {cpu: 1, hugepages-2Mi: 4Mi, example.com/gpu: 2}}},
  {name: b, resources: {requests: {ephemeral-storage: 1Gi, cpu: 500m}}}]}`
	for _, test := range []struct {
		name, resource string
		obj            runtime.Object
		want           string
	}{
		{"pod", "pods", read[corev1.Pod](t, pod), "count/pods=1 cpu=1 ephemeral-storage=1Gi hugepages-2Mi=4Mi limits.cpu=1 memory=1Gi pods=1 " +
			"requests.cpu=1 requests.ephemeral-storage=1Gi requests.example.com/gpu=2 requests.hugepages-2Mi=4Mi requests.memory=1Gi"},
		{"pod that shrinks", "pods", read[corev1.Pod](t, sized+`status: {containerStatuses: [{name: a, allocatedResources: {cpu: 1}, resources: {requests: {cpu: 2}, limits: {cpu: 2}}}]}`),
			"count/pods=1 cpu=2 limits.cpu=2 pods=1 requests.cpu=2"},
		{"pod that grows", "pods", read[corev1.Pod](t, sized+`status: {containerStatuses: [{name: a, allocatedResources: {cpu: 500m}, resources: {requests: {cpu: 500m}, limits: {cpu: 500m}}}]}`),
			"count/pods=1 cpu=1 limits.cpu=1 pods=1 requests.cpu=1"},
		{"pod that cannot grow", "pods", read[corev1.Pod](t, sized+`status: {conditions: [{type: PodResizePending, status: "True", reason: Infeasible}],
  containerStatuses: [{name: a, allocatedResources: {cpu: 500m}, resources: {requests: {cpu: 500m}, limits: {cpu: 500m}}}]}`),
			"count/pods=1 cpu=500m limits.cpu=500m pods=1 requests.cpu=500m"},
		{"ended pod", "pods", read[corev1.Pod](t, pod+"\nstatus: {phase: Failed}"), "count/pods=1"},
		{"cluster IP", "services", read[corev1.Service](t, `spec: {type: ClusterIP, ports: [{port: 1}]}`), "count/services=1 services=1 services.loadbalancers=0 services.nodeports=0"},
		{"node ports", "services", read[corev1.Service](t, `spec: {type: NodePort, ports: [{port: 1}, {port: 2}]}`), "count/services=1 services=1 services.loadbalancers=0 services.nodeports=2"},
		{"load balancer", "services", read[corev1.Service](t, `spec: {type: LoadBalancer, ports: [{port: 1}]}`), "count/services=1 services=1 services.loadbalancers=1 services.nodeports=1"},
		{"load balancer without", "services", read[corev1.Service](t, `spec: {type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 1}, {port: 2, nodePort: 30000}]}`),
			"count/services=1 services=1 services.loadbalancers=1 services.nodeports=1"},
		{"claim", "persistentvolumeclaims", read[corev1.PersistentVolumeClaim](t, `spec: {storageClassName: gold, resources: {requests: {storage: 5Gi}}}`),
			"count/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 gold.storageclass.storage.k8s.io/requests.storage=5Gi persistentvolumeclaims=1 requests.storage=5Gi"},
		{"secret", "secrets", &corev1.Secret{}, "count/secrets=1 secrets=1"},
		{"any other", "deployments.apps", nil, "count/deployments.apps=1"},
	} {
		if got := show(quota.Usage(test.resource, test.obj)); got != test.want {
			t.Errorf("%s uses\n %s\nwant\n %s", test.name, got, test.want)
		}
	}
}

func TestCharge(t *testing.T) {
	const small, large = `spec: {containers: [{name: a, resources: {requests: {cpu: 200m}}}]}`, `spec: {containers: [{name: a, resources: {requests: {cpu: 3}}}]}`
	for _, test := range []struct {
		name, spec, used, old, new string
		counted                    bool // not enforced
		want                       string
	}{
		{"fits", "{hard: {pods: 2, requests.cpu: 1}}", "{pods: 1, requests.cpu: 800m}", "", small, false, "pods=2 requests.cpu=1"},
		{"exceeds", "{hard: {pods: 2, requests.cpu: 1}}", "{pods: 1, requests.cpu: 900m}", "", small, false,
			"exceeded quota: q, requested: requests.cpu=200m, used: requests.cpu=900m, limited: requests.cpu=1"},
		{"exceeds both", "{hard: {pods: 1, requests.cpu: 1}}", "{pods: 1, requests.cpu: 900m}", "", small, false,
			"exceeded quota: q, requested: pods=1,requests.cpu=200m, used: pods=1,requests.cpu=900m, limited: pods=1,requests.cpu=1"},
		{"unsaid", "{hard: {limits.cpu: 2, memory: 1Gi}}", "{limits.cpu: 0, memory: 0}", "", small, false,
			"failed quota: q: must specify limits.cpu for: a; memory for: a"},
		{"over already", "{hard: {pods: 1}}", "{pods: 5}", "", "", false, "pods=5"},
		{"goes", "{hard: {pods: 1, requests.cpu: 1}}", "{pods: 2, requests.cpu: 3}", large, "", true, "pods=1 requests.cpu=0"},
		{"ends", "{hard: {pods: 1, count/pods: 9}}", "{pods: 1, count/pods: 1}", small, small + "\nstatus: {phase: Succeeded}", true, "count/pods=1 pods=0"},
		{"not terminating", "{hard: {pods: 1}, scopes: [Terminating]}", "{pods: 0}", "", small, false, "pods=0"},
		{"enters the scope", "{hard: {pods: 1}, scopes: [Terminating]}", "{pods: 0}", small, "spec: {activeDeadlineSeconds: 5, containers: [{name: a}]}", true, "pods=1"},
		{"best effort", "{hard: {pods: 1}, scopes: [BestEffort]}", "{pods: 0}", "", "status: {qosClass: BestEffort}", false, "pods=1"},
		{"class", "{hard: {pods: 1}, scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}}", "{pods: 0}", "", "spec: {priorityClassName: high}", false, "pods=1"},
		{"other class", "{hard: {pods: 1}, scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}}", "{pods: 0}", "", "spec: {priorityClassName: low}", false, "pods=0"},
		{"no class", "{hard: {pods: 1}, scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: DoesNotExist}]}}", "{pods: 0}", "", small, false, "pods=1"},
		{"affinity", "{hard: {pods: 0}, scopes: [CrossNamespacePodAffinity]}", "{pods: 0}", "",
			"spec: {affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a, namespaces: [b]}]}}}", false,
			"exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0"},
	} {
		q := &corev1.ResourceQuota{Spec: *read[corev1.ResourceQuotaSpec](t, test.spec)}
		q.Name, q.Status.Hard, q.Status.Used = "q", q.Spec.Hard, *read[corev1.ResourceList](t, test.used)
		c := quota.Change{Resource: "pods", Enforced: !test.counted}
		if test.old != "" {
			c.Old = read[corev1.Pod](t, test.old)
		}
		if test.new != "" {
			c.New = read[corev1.Pod](t, test.new)
		}
		used, err := quota.Charge(q, c)
		got := show(used)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\n %s\nwant\n %s", test.name, got, test.want)
		}
	}
}

// A node's reports are many, and almost none concerns a quota.
func TestReportsThatMayChangeTheUse(t *testing.T) {
	const spec = "spec: {containers: [{name: a, resources: {requests: {cpu: 1}}}]}\n"
	const plain, has, had = spec + "status: {}", spec + "status: {containerStatuses: [{name: a, allocatedResources: {cpu: 1000m}, resources: {requests: {cpu: 1}}}]}",
		spec + "status: {containerStatuses: [{name: a, allocatedResources: {cpu: 1}, resources: {requests: {cpu: 2}}}]}"
	for _, test := range []struct {
		name, old, new string
		want           bool
	}{
		{"starts", plain, has, false},
		{"runs on", has, has, false},
		{"is told to shrink", has, had, true},
		{"has shrunk", had, has, true},
		{"ends", has, spec + "status: {phase: Failed}", true},
	} {
		if got := quota.MayChange("pods", "status", read[corev1.Pod](t, test.old), read[corev1.Pod](t, test.new)); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if !quota.MayChange("pods", "status", nil, read[corev1.Pod](t, plain)) {
		t.Error("without the pod as it was nobody can tell")
	}
}

// namespace is what there is, by resource.
type namespace map[string][]runtime.Object

func (n namespace) Count(resource string) (int64, error) { return int64(len(n[resource])), nil }

func (n namespace) Each(resource string, each func(runtime.Object)) error {
	for _, obj := range n[resource] {
		each(obj)
	}
	return nil
}

func TestMeasure(t *testing.T) {
	q := &corev1.ResourceQuota{Spec: *read[corev1.ResourceQuotaSpec](t,
		`{hard: {pods: 9, limits.memory: 1Gi, secrets: 9, count/deployments.apps: 9, services.nodeports: 2, requests.storage: 1Gi}}`)}
	in := namespace{
		"pods": {read[corev1.Pod](t, `spec: {containers: [{name: a, resources: {limits: {memory: 128Mi}}}]}`),
			read[corev1.Pod](t, `{status: {phase: Succeeded}}`)},
		"secrets": {&corev1.Secret{}, &corev1.Secret{}}, "deployments.apps": {&corev1.Secret{}}, "services": {read[corev1.Service](t, `spec: {type: NodePort, ports: [{port: 1}]}`)},
	}
	used, err := quota.Measure(q, in)
	if want := "count/deployments.apps=1 limits.memory=128Mi pods=1 requests.storage=0 secrets=2 services.nodeports=1"; err != nil || show(used) != want {
		t.Errorf("measured\n %s, %v\nwant\n %s", show(used), err, want)
	}
	if quota.Current(q) {
		t.Error("a quota without a status is current")
	}
	if q.Status = (corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: used}); !quota.Current(q) {
		t.Error("a quota that was measured is not current")
	}
}
