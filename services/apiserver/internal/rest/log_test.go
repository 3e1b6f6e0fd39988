package rest_test

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (d *door) put(t testing.TB, path string, obj any, put bool) {
	t.Helper()
	body, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	method := "POST"
	if put {
		method = "PUT"
	}
	if response, text := d.call(t, method, path, string(body)); response.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
}

// addPod makes a pod on node n1 whose container main is in the state.
func (d *door) addPod(t testing.TB, name string, state corev1.ContainerState, containers ...string) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: "n1"}}
	for _, c := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c, Image: "busybox"})
	}
	d.put(t, "/api/v1/namespaces/default/pods", pod, false)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: state}}
	d.put(t, "/api/v1/namespaces/default/pods/"+name+"/status", pod, true)
}

// addNode makes node n1.
func (d *door) addNode(t testing.TB) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	d.put(t, "/api/v1/nodes", node, false)
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.7"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
	d.put(t, "/api/v1/nodes/n1/status", node, true)
}

func TestLog(t *testing.T) {
	d := open(t)
	d.addNode(t)
	waiting := func(reason string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
	}
	d.addPod(t, "up", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, "main")
	d.addPod(t, "new", waiting("ContainerCreating"), "main")
	d.addPod(t, "noimage", waiting("ImagePullBackOff"), "main")
	d.addPod(t, "two", waiting("ContainerCreating"), "main", "side")
	for _, test := range []struct {
		path string
		code int
		want string
	}{
		{"up/log?tailLines=5&timestamps=true", 200, "a line\n"},
		{"up/log?container=none", 400, "container none is not valid for pod up"},
		{"up/log?previous=true", 400, `previous terminated container \"main\" in pod \"up\" not found`},
		{"up/log?tailLines=x", 400, `strconv.ParseInt: parsing \"x\": invalid syntax`},
		{"up/log?tailLines=-1&limitBytes=0&sinceSeconds=0", 422, `PodLogOptions \"up\" is invalid: [tailLines: Invalid value: -1: must be greater than or equal to 0, limitBytes: Invalid value: 0: must be greater than 0, sinceSeconds: Invalid value: 0: must be greater than 0]`},
		{"up/log?sinceTime=2026-01-01T00:00:00Z&sinceSeconds=1", 422, "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"},
		{"new/log", 400, `container \"main\" in pod \"new\" is waiting to start: ContainerCreating`},
		{"noimage/log", 400, `container \"main\" in pod \"noimage\" is waiting to start: trying and failing to pull image`},
		{"two/log", 400, "a container name must be specified for pod two, choose one of: [main side]"},
		{"none/log", 404, `pods \"none\" not found`},
	} {
		response, body := d.call(t, "GET", "/api/v1/namespaces/default/pods/"+test.path, "")
		if response.StatusCode != test.code || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d %s, want %d %s", test.path, response.StatusCode, body, test.code, test.want)
		}
	}
	if a := d.agent.asked; a.GetContainer() != "main" || a.GetTailLines() != 5 || !a.GetTimestamps() || a.GetPodUid() == "" {
		t.Errorf("the agent was asked %v", a)
	}
}
