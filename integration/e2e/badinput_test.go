//go:build root

package e2e_test

import (
	"strings"
	"testing"
)

// Each manifest is one a stranger could write; each answer is Kubernetes' own.
var refused = []struct {
	name, manifest string
	want           []string
}{
	{"unknown field", deployment("replicsa: 3", "app: a", "app: a"), []string{`unknown field "spec.replicsa"`}},
	{"wrong type", deployment("replicas: three", "app: a", "app: a"), []string{`cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`}},
	{"missing selector", `
apiVersion: apps/v1
kind: Deployment
metadata: {name: bad}
spec:
  template:
    metadata: {labels: {app: a}}
    spec: {containers: [{name: c, image: busybox}]}
`, []string{`The Deployment "bad" is invalid`, `spec.selector: Required value`}},
	{"selector does not match", deployment("replicas: 1", "app: a", "app: b"), []string{"spec.template.metadata.labels: Invalid value", "`selector` does not match template `labels`"}},
	{"port out of range", `
apiVersion: v1
kind: Pod
metadata: {name: bad}
spec: {containers: [{name: c, image: busybox, ports: [{containerPort: 70000}]}]}
`, []string{`spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`}},
	{"node port out of range", service("nodePort: 80"), []string{`spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767`}},
	{"no namespace", `
apiVersion: v1
kind: ConfigMap
metadata: {name: bad, namespace: nowhere}
`, []string{`namespaces "nowhere" not found`}},
	{"bad name", `
apiVersion: v1
kind: ConfigMap
metadata: {name: Bad_Name}
`, []string{`metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of`}},
	{"not supported yet", `
apiVersion: v1
kind: Pod
metadata: {name: bad}
spec:
  containers: [{name: c, image: busybox, lifecycle: {preStop: {sleep: {seconds: 1}}}}]
`, []string{`spec.containers[0].lifecycle.preStop`, `Forbidden: not supported by this version of Muster`}},
	{"unknown kind", `
apiVersion: apps/v1
kind: Deploiment
metadata: {name: bad}
`, []string{`no matches for kind "Deploiment" in version "apps/v1"`}},
}

func deployment(spec, selector, labels string) string {
	return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: bad}
spec:
  ` + spec + `
  selector: {matchLabels: {` + selector + `}}
  template:
    metadata: {labels: {` + labels + `}}
    spec: {containers: [{name: c, image: busybox}]}
`
}

func service(port string) string {
	return `
apiVersion: v1
kind: Service
metadata: {name: bad}
spec:
  type: NodePort
  selector: {app: a}
  ports: [{port: 80, ` + port + `}]
`
}

func TestRefusedManifestsSayWhyAndLeaveNothing(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			out, err := apply(t, c.manifest)
			if err == nil {
				t.Fatalf("accepted:\n%s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("said\n%s\nnot %q", out, want)
				}
			}
		})
	}
	if out := kubectl(t, "get", "deploy,pod,svc,cm", "-o", "name"); strings.Contains(out, "/bad") {
		t.Errorf("a refused object is there:\n%s", out)
	}
}

func TestImmutableFieldIsRefused(t *testing.T) {
	if _, err := apply(t, deployment("replicas: 0", "app: a", "app: a")); err != nil {
		t.Fatal(err)
	}
	defer kubectl(t, "delete", "deployment", "bad")
	out, err := apply(t, deployment("replicas: 0", "app: b", "app: b"))
	if err == nil || !strings.Contains(out, "spec.selector: Invalid value") || !strings.Contains(out, "field is immutable") {
		t.Fatalf("got %v:\n%s", err, out)
	}
}

func TestTakenNodePortIsRefused(t *testing.T) {
	first := strings.Replace(service("nodePort: 30555"), "name: bad", "name: first", 1)
	if _, err := apply(t, first); err != nil {
		t.Fatal(err)
	}
	defer kubectl(t, "delete", "service", "first")
	out, err := apply(t, service("nodePort: 30555"))
	if err == nil || !strings.Contains(out, "spec.ports[0].nodePort: Invalid value: 30555: provided port is already allocated") {
		t.Fatalf("got %v:\n%s", err, out)
	}
	if out := kubectl(t, "get", "svc", "-o", "name"); strings.Contains(out, "/bad") {
		t.Fatalf("the refused service is there:\n%s", out)
	}
}

func TestMissingImageBacksOff(t *testing.T) {
	if _, err := apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: no-image}
spec: {containers: [{name: c, image: "docker.io/library/does-not-exist:1"}]}
`); err != nil {
		t.Fatal(err)
	}
	defer kubectl(t, "delete", "pod", "no-image", "--now")
	seen := map[string]bool{}
	err := eventually(t, func() error {
		out := kubectl(t, "get", "pod", "no-image", "--no-headers")
		for _, word := range []string{"ErrImagePull", "ImagePullBackOff"} {
			seen[word] = seen[word] || strings.Contains(out, word)
		}
		if !seen["ErrImagePull"] || !seen["ImagePullBackOff"] {
			return errorf("seen %v, now %s", seen, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	events := kubectl(t, "describe", "pod", "no-image")
	for _, want := range []string{`Failed to pull image "docker.io/library/does-not-exist:1"`, `Back-off pulling image "docker.io/library/does-not-exist:1"`} {
		if !strings.Contains(events, want) {
			t.Errorf("describe does not say %q:\n%s", want, events)
		}
	}
}
