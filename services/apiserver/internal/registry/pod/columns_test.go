package pod_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func TestPodLines(t *testing.T) {
	tests := []struct{ name, pod, want string }{
		{"pending", `{status: {phase: Pending}}`, "0/1 Pending 0"},
		{"creating", `{status: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ContainerCreating}}}]}}`, "0/1 ContainerCreating 0"},
		{"running", `{status: {phase: Running, containerStatuses: [{name: a, ready: true, state: {running: {}}}]}}`, "1/1 Running 0"},
		{"pull", `{status: {phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ImagePullBackOff}}}]}}`, "0/1 ImagePullBackOff 0"},
		{"crash", `{status: {phase: Running, containerStatuses: [{name: a, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {finishedAt: "2026-11-20T11:59:30Z"}}}]}}`, "0/1 CrashLoopBackOff 3 (30s ago)"},
		{"done", `{status: {phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {exitCode: 0, reason: Completed}}}]}}`, "0/1 Completed 0"},
		{"failed", `{status: {phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 1, reason: Error}}}]}}`, "0/1 Error 0"},
		{"no reason", `{status: {phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 7}}}]}}`, "0/1 ExitCode:7 0"},
		{"signal", `{status: {phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 137, signal: 9}}}]}}`, "0/1 Signal:9 0"},
		{"evicted", `{status: {phase: Failed, reason: Evicted}}`, "0/1 Evicted 0"},
		{"ending", `{metadata: {deletionTimestamp: "2026-11-20T11:59:00Z"}, status: {phase: Running, containerStatuses: [{name: a, ready: true, state: {running: {}}}]}}`, "1/1 Terminating 0"},
		{"ended and deleted", `{metadata: {deletionTimestamp: "2026-11-20T11:59:00Z"}, status: {phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {reason: Completed}}}]}}`, "0/1 Completed 0"},
		{"lost", `{metadata: {deletionTimestamp: "2026-11-20T11:59:00Z"}, status: {phase: Running, reason: NodeLost}}`, "0/1 Unknown 0"},
		{"init", `{spec: {initContainers: [{name: i}]}, status: {phase: Pending, initContainerStatuses: [{name: i, state: {running: {}}}], containerStatuses: [{name: a, state: {waiting: {reason: PodInitializing}}}]}}`, "0/1 Init:0/1 0"},
		{"init failed", `{spec: {initContainers: [{name: i}]}, status: {phase: Pending, initContainerStatuses: [{name: i, restartCount: 2, state: {waiting: {reason: CrashLoopBackOff}}}]}}`, "0/1 Init:CrashLoopBackOff 2"},
		{"init exit code", `{spec: {initContainers: [{name: i}]}, status: {phase: Pending, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 2}}}]}}`, "0/1 Init:ExitCode:2 0"},
		{"init done", `{spec: {initContainers: [{name: i}]}, status: {phase: Pending, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 0}}}], containerStatuses: [{name: a, state: {waiting: {reason: PodInitializing}}}]}}`, "0/1 PodInitializing 0"},
	}
	k := kindtest.Kind(t, "pods")
	for _, tt := range tests {
		obj := kindtest.Decode(t, k, tt.pod)
		pod := kindtest.Decode(t, k, `{spec: {containers: [{name: a}]}}`)
		merge(t, obj, pod)
		c := kindtest.Cells(k, obj, kindtest.Time, false)
		if got := fmt.Sprintf("%v %v %v", c[0], c[1], c[2]); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// merge gives obj the containers of from.
func merge(t *testing.T, obj, from any) {
	t.Helper()
	dst := reflect.ValueOf(obj).Elem().FieldByName("Spec").FieldByName("Containers")
	dst.Set(reflect.ValueOf(from).Elem().FieldByName("Spec").FieldByName("Containers"))
}

func TestOtherLines(t *testing.T) {
	const created = `creationTimestamp: "2026-11-20T11:55:00Z"`
	tests := []struct{ name, resource, object, want string }{
		{"pod", "pods", `{metadata: {` + created + `}, spec: {nodeName: n1, containers: [{name: a}]}, status: {phase: Running, podIPs: [{ip: 10.244.1.2}], podIP: 10.244.1.2}}`,
			"[0/1 Running 0 5m 10.244.1.2 n1 <none> <none>]"},
		{"deployment", "deployments.apps", `{metadata: {` + created + `}, spec: {replicas: 3, selector: {matchLabels: {app: w}}, template: {spec: {containers: [{name: a, image: x}, {name: b, image: z}]}}}, status: {readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1}}`,
			"[2/3 3 1 5m a,b x,z app=w]"},
		{"replica set", "replicasets.apps", `{metadata: {` + created + `}, spec: {replicas: 3, selector: {matchLabels: {app: w}}, template: {spec: {containers: [{name: a, image: x}]}}}, status: {replicas: 2, readyReplicas: 1}}`,
			"[3 2 1 5m a x app=w]"},
		{"service", "services", `{metadata: {` + created + `}, spec: {type: NodePort, clusterIP: 10.96.1.1, clusterIPs: [10.96.1.1], selector: {app: w}, ports: [{port: 8080, nodePort: 30000, protocol: TCP}, {port: 53, protocol: UDP}]}}`,
			"[NodePort 10.96.1.1 <none> 8080:30000/TCP,53/UDP 5m app=w]"},
		{"external name", "services", `{metadata: {` + created + `}, spec: {type: ExternalName, externalName: a.example}}`,
			"[ExternalName <none> a.example <none> 5m <none>]"},
		{"headless", "services", `{metadata: {` + created + `}, spec: {type: ClusterIP, clusterIP: None}}`,
			"[ClusterIP None <none> <none> 5m <none>]"},
		{"node", "nodes", `{metadata: {` + created + `, labels: {node-role.kubernetes.io/worker: "", node-role.kubernetes.io/edge: ""}}, spec: {unschedulable: true}, status: {conditions: [{type: Ready, status: "True"}], addresses: [{type: InternalIP, address: 192.0.2.1}], nodeInfo: {kubeletVersion: v1, osImage: Debian, kernelVersion: "6.1", containerRuntimeVersion: containerd://1}}}`,
			"[Ready,SchedulingDisabled edge,worker 5m v1 192.0.2.1 <none> Debian 6.1 containerd://1]"},
		{"bare node", "nodes", `{metadata: {` + created + `}}`, "[Unknown <none> 5m  <none> <none> <unknown> <unknown> <unknown>]"},
		{"namespace", "namespaces", `{metadata: {` + created + `}, status: {phase: Active}}`, "[Active 5m]"},
		{"config map", "configmaps", `{metadata: {` + created + `}, data: {a: b}, binaryData: {c: ZA==}}`, "[2 5m]"},
		{"secret", "secrets", `{metadata: {` + created + `}, type: Opaque, data: {a: ZA==}}`, "[Opaque 1 5m]"},
		{"service account", "serviceaccounts", `{metadata: {` + created + `}}`, "[5m]"},
		{"endpoints", "endpoints", `{metadata: {` + created + `}, subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}, {ip: 10.0.0.3}, {ip: 10.0.0.4}], ports: [{port: 80}]}]}`,
			"[10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more... 5m]"},
		{"no endpoints", "endpoints", `{}`, "[<none> <unknown>]"},
		{"slice", "endpointslices.discovery.k8s.io", `{metadata: {` + created + `}, addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}], ports: [{port: 80}]}`,
			"[IPv4 80 10.0.0.1,10.0.0.2 5m]"},
		{"empty slice", "endpointslices.discovery.k8s.io", `{metadata: {` + created + `}, addressType: IPv4}`, "[IPv4 <unset> <unset> 5m]"},
		{"lease", "leases.coordination.k8s.io", `{metadata: {` + created + `}, spec: {holderIdentity: me}}`, "[me 5m]"},
		{"event", "events", `{metadata: {name: w.1}, involvedObject: {kind: Pod, name: web, fieldPath: "spec.containers{a}"}, type: Normal, reason: Pulled, message: " done\n", firstTimestamp: "2026-11-20T11:50:00Z", lastTimestamp: "2026-11-20T11:55:00Z", count: 4, source: {component: kubelet, host: n1}}`,
			"[5m Normal Pulled pod/web spec.containers{a} kubelet, n1 done 10m 4 w.1]"},
		{"new event", "events", `{metadata: {name: w.1}, involvedObject: {kind: Pod, name: web}, eventTime: "2026-11-20T11:59:00.000000Z", reportingComponent: scheduler, reason: Scheduled}`,
			"[60s  Scheduled pod/web  scheduler  60s 1 w.1]"},
	}
	for _, tt := range tests {
		k := kindtest.Kind(t, tt.resource)
		if got := fmt.Sprint(kindtest.Cells(k, kindtest.Decode(t, k, tt.object), kindtest.Time, true)); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
