package rest_test

import (
	"strings"
	"testing"
)

func TestEphemeralContainers(t *testing.T) {
	d := openWithPods(t)
	const pod = "/api/v1/namespaces/default/pods/up"
	const path = pod + "/ephemeralcontainers"
	patch := func(body string) (int, string) {
		response, text := d.call(t, "PATCH", path, body, "Content-Type: application/strategic-merge-patch+json")
		return response.StatusCode, text
	}
	if code, body := patch(`{"metadata":{"labels":{"a":"b"}},"spec":{"nodeName":"other","ephemeralContainers":[{"name":"debug","image":"busybox","stdin":true,"tty":true,"targetContainerName":"main"}]}}`); code != 200 ||
		!strings.Contains(body, `"imagePullPolicy":"Always"`) || strings.Contains(body, `"a":"b"`) || strings.Contains(body, `"nodeName":"other"`) || !strings.Contains(body, `"generation":2`) {
		t.Errorf("add: %d %s", code, body)
	}
	if response, body := d.call(t, "GET", path, ""); response.StatusCode != 200 || !strings.Contains(body, `"kind":"Pod"`) || !strings.Contains(body, `"name":"debug"`) {
		t.Errorf("get: %d %s", response.StatusCode, body)
	}
	for body, want := range map[string]string{
		`{"spec":{"ephemeralContainers":[{"name":"debug","image":"other"}]}}`:                                             `spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be changed`,
		`{"spec":{"ephemeralContainers":[{"name":"debug","$patch":"delete"}]}}`:                                           `spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be removed`,
		`{"spec":{"ephemeralContainers":[{"name":"main","image":"a"}]}}`:                                                  `spec.ephemeralContainers[0].name: Duplicate value: \"main\"`,
		`{"spec":{"ephemeralContainers":[{"name":"d2","image":"a","targetContainerName":"no"}]}}`:                         `spec.ephemeralContainers[0].targetContainerName: Not found: \"no\"`,
		`{"spec":{"ephemeralContainers":[{"name":"d2","image":"a","targetContainerName":"debug"}]}}`:                      `spec.ephemeralContainers[0].targetContainerName: Not found: \"debug\"`,
		`{"spec":{"ephemeralContainers":[{"name":"d2","image":"a","ports":[{"containerPort":1}]}]}}`:                      `spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container`,
		`{"spec":{"ephemeralContainers":[{"name":"d2","image":"a","livenessProbe":{"tcpSocket":{"port":1}}}]}}`:           `spec.ephemeralContainers[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container`,
		`{"spec":{"ephemeralContainers":[{"name":"d2","image":"a","resources":{"limits":{"cpu":"1"}}}]}}`:                 `spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container`,
		`{"spec":{"ephemeralContainers":[{"name":"d2","image":"a","lifecycle":{"preStop":{"exec":{"command":["a"]}}}}]}}`: `spec.ephemeralContainers[0].lifecycle: Forbidden: cannot be set for an Ephemeral Container`,
	} {
		if code, text := patch(body); code != 422 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s, want %s", body, code, text, want)
		}
	}
	response, body := d.call(t, "PATCH", pod, `{"spec":{"ephemeralContainers":[{"name":"d2","image":"a"}]}}`, "Content-Type: application/strategic-merge-patch+json")
	if response.StatusCode != 422 || !strings.Contains(body, "pod updates may not change fields other than") {
		t.Errorf("by the pod itself: %d %s", response.StatusCode, body)
	}
	response, body = d.call(t, "POST", "/api/v1/namespaces/default/pods", `{"metadata":{"name":"x"},"spec":{"containers":[{"name":"a","image":"a"}],"ephemeralContainers":[{"name":"d","image":"a"}]}}`)
	if response.StatusCode != 422 || !strings.Contains(body, "spec.ephemeralContainers: Forbidden: cannot be set on create") {
		t.Errorf("on create: %d %s", response.StatusCode, body)
	}
}
