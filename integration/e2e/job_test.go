//go:build root

package e2e_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// applyExamples applies the user's own manifests as they stand and waits until
// they run. The namespace is deleted when the test ends.
func applyExamples(t *testing.T, namespace string) {
	t.Helper()
	kubectl(t, "create", "namespace", namespace)
	t.Cleanup(func() { deleteNamespace(t, namespace) })
	kubectl(t, "-n", namespace, "apply", "-f", filepath.Join(harness.Root(), "deploy", "examples"))
	kubectl(t, "-n", namespace, "rollout", "status", "deployment/whoami-deployment", "--timeout=60s")
	kubectl(t, "-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
}

// whoami asks an address from a member and returns the name that answered.
func whoami(t *testing.T, member, address string) (string, error) {
	out, err := cluster.Exec(contextOf(t), member, "curl", "-sS", "--max-time", "2", address)
	if err != nil {
		return "", err
	}
	name, found := strings.CutPrefix(strings.TrimSpace(out), "I'm ")
	if !found {
		return "", errorf("%s answered %q", address, out)
	}
	return name, nil
}

// answers asks until every one of the pods has answered, and fails if one of
// another name does or a request fails.
func answers(t *testing.T, member, address string, pods []string) {
	t.Helper()
	left := map[string]bool{}
	for _, p := range pods {
		left[p] = true
	}
	for range 20 * len(pods) {
		name, err := whoami(t, member, address)
		if err != nil {
			t.Fatalf("%s from %s: %v", address, member, err)
		}
		if !strings.Contains(" "+strings.Join(pods, " ")+" ", " "+name+" ") {
			t.Fatalf("%s from %s: %s answered, which is none of %v", address, member, name, pods)
		}
		if delete(left, name); len(left) == 0 {
			return
		}
	}
	t.Fatalf("%s from %s: %v never answered", address, member, left)
}

// podsOf returns the names of the whoami pods.
func podsOf(t *testing.T, namespace string) []string {
	t.Helper()
	return strings.Fields(kubectl(t, "-n", namespace, "get", "pods", "-l", "app=whoami", "-o", "jsonpath={.items[*].metadata.name}"))
}

func TestServiceBalancesOverPodsOnBothNodes(t *testing.T) {
	applyExamples(t, "job")
	pods := podsOf(t, "job")
	nodes := kubectl(t, "-n", "job", "get", "pods", "-l", "app=whoami", "-o", "jsonpath={.items[*].spec.nodeName}")
	if len(pods) != 3 || !strings.Contains(nodes, "node1") || !strings.Contains(nodes, "node2") {
		t.Fatalf("pods %v on nodes %s", pods, nodes)
	}
	ip := kubectl(t, "-n", "job", "get", "service", "whoami-clusterip", "-o", "jsonpath={.spec.clusterIP}")
	for _, node := range []string{"node1", "node2"} {
		answers(t, node, ip+":8080", pods)
		address := kubectl(t, "get", "node", node, "-o", `jsonpath={.status.addresses[?(@.type=="InternalIP")].address}`)
		answers(t, "server1", address+":30000", pods) // from outside the nodes
		answers(t, node, address+":30000", pods)
	}
	logs := kubectl(t, "-n", "job", "logs", "myapp-pod")
	if logs != "Hello Kubernetes!\n" {
		t.Errorf("myapp-pod logged %q", logs)
	}
}

func TestPodsResolveAndReachServices(t *testing.T) {
	applyExamples(t, "names")
	pods := podsOf(t, "names")
	// A pod asks by short name, by the full name, and for the SRV record's host.
	manifest := fmt.Sprintf(asker, "wget -qO- http://whoami-clusterip:8080 && wget -qO- http://whoami-clusterip.names.svc.cluster.local:8080 && cat /etc/resolv.conf")
	if out, err := cluster.Kubectl(t.Context(), harness.OwnKubectl(), manifest, "-n", "names", "apply", "-f", "-"); err != nil {
		t.Fatal(err, out)
	}
	kubectl(t, "-n", "names", "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/asker", "--timeout=30s")
	logs := kubectl(t, "-n", "names", "logs", "asker")
	if n := len(regexp.MustCompile(`I'm (`+strings.Join(pods, "|")+`)\n`).FindAllString(logs, -1)); n != 2 {
		t.Errorf("%d of 2 answers in\n%s", n, logs)
	}
	for _, want := range []string{"nameserver 10.96.0.10", "search names.svc.cluster.local svc.cluster.local cluster.local", "options ndots:5"} {
		if !strings.Contains(logs, want) {
			t.Errorf("resolv.conf lacks %q:\n%s", want, logs)
		}
	}
}

const asker = `
apiVersion: v1
kind: Pod
metadata: {name: asker}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: busybox
    command: [sh, -c, %q]
`

func TestPlacementIsExplained(t *testing.T) {
	if _, err := apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: too-big}
spec:
  containers: [{name: c, image: busybox, resources: {requests: {cpu: "1000"}}}]
`); err != nil {
		t.Fatal(err)
	}
	defer kubectl(t, "delete", "pod", "too-big", "--now")
	want := "0/2 nodes are available: 2 Insufficient cpu."
	if err := eventually(t, func() error {
		out := kubectl(t, "describe", "pod", "too-big")
		if strings.Count(out, want) == 0 || !strings.Contains(out, "FailedScheduling") {
			return errorf("describe says\n%s", out)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	out, err := harness.Run(t.Context(), "", harness.Muster(), "explain", "pod", "too-big", "--kubeconfig", cluster.Kubeconfig())
	if err != nil || strings.Count(out, "Insufficient cpu") < 2 {
		t.Errorf("muster explain: %v\n%s", err, out)
	}
}
