//go:build root

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/musterhq/muster/integration/harness"
)

// sized has a container that is resized while it runs and one that is started anew
// for memory.
const sized = `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeName: node1
  terminationGracePeriodSeconds: 1
  containers:
  - name: steady
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]
    resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 100m, memory: 32Mi}}
  - name: anew
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]
    resources: {requests: {cpu: 100m, memory: 40Mi}, limits: {cpu: 100m, memory: 40Mi}}
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]
`

// neighbour takes all but 300m of the node's cpu.
const neighbour = `
apiVersion: v1
kind: Pod
metadata: {name: neighbour}
spec:
  nodeName: node1
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "1000"], resources: {requests: {cpu: REST}}}
`

// limits prints what the kernel allows a container: bytes of memory, and cpu.
const limits = `-- sh -c 'cd /sys/fs/cgroup; cat memory.max memory/memory.limit_in_bytes cpu.max cpu/cpu.cfs_quota_us 2>/dev/null; true'`

func resizeTo(container, cpu, memory string) string {
	list := fmt.Sprintf(`{"cpu":%q,"memory":%q}`, cpu, memory)
	return fmt.Sprintf(`-n NS patch pod web --subresource resize -p {"spec":{"containers":[{"name":%q,"resources":{"requests":%s,"limits":%s}}]}}`, container, list, list)
}

var resizeSteps = []harness.Step{
	{Args: "create namespace NS", Want: `created`},
	{Args: "-n NS apply -f -", Stdin: sized, Want: `pod/web created`},
	{Args: "-n NS wait --for=condition=Ready pod/web --timeout=60s", Want: `condition met`},
	{Args: "-n NS exec web -c steady " + limits, Want: `^33554432\n10000( 100000)?\n$`},
	{Args: resizeTo("steady", "200m", "64Mi"), Want: `pod/web patched`},
	{Args: "-n NS exec web -c steady " + limits, Want: `^67108864\n20000( 100000)?\n$`, Retry: 20 * time.Second},
	{Args: "-n NS get pod web -o jsonpath={.status.containerStatuses[0].resources.limits}{.status.containerStatuses[*].restartCount}", Want: `^{"cpu":"200m","memory":"64Mi"}0 0$`, Retry: 20 * time.Second},
	{Args: resizeTo("steady", "150m", "48Mi"), Want: `pod/web patched`},
	{Args: "-n NS exec web -c steady " + limits, Want: `^50331648\n15000( 100000)?\n$`, Retry: 20 * time.Second},
	{Args: "-n NS edit pod web --subresource resize", Want: `pod/web edited`},
	{Args: "-n NS get pod web -o jsonpath={.status.containerStatuses[*].restartCount}", Want: `^0 1$`, Retry: 20 * time.Second},
	{Args: "-n NS exec web -c anew " + limits, Want: `^83886080\n10000( 100000)?\n$`, Retry: 20 * time.Second},
	{Args: resizeTo("steady", "10000", "48Mi"), Fails: true, Want: `pods "web" is forbidden: node didn't have enough allocatable resources: cpu, requested: 10000100, allocatable: \d+`},
	{Args: `-n NS patch pod web -p {"spec":{"containers":[{"name":"steady","resources":{"requests":{"cpu":"50m"}}}]}}`, Fails: true, Want: `spec: Forbidden: pod updates may not change fields other than`},
	{Args: "-n NS apply -f -", Stdin: neighbour, Want: `pod/neighbour created`},
	{Args: "-n NS wait --for=condition=Ready pod/neighbour --timeout=60s", Want: `condition met`},
	{Args: resizeTo("steady", "400m", "48Mi"), Want: `pod/web patched`},
	{Args: "-n NS describe pod web", Want: `(?s)PodResizePending  True.*ResizeDeferred.*Node didn't have enough resource: cpu, requested: 500, used: \d+, capacity: \d+`, Retry: 20 * time.Second},
	{Args: "-n NS exec web -c steady " + limits, Want: `^50331648\n15000( 100000)?\n$`},
	{Args: "-n NS delete pod neighbour", Want: `deleted`},
	{Args: "-n NS exec web -c steady " + limits, Want: `^50331648\n40000( 100000)?\n$`, Retry: 20 * time.Second},
	{Args: "-n NS get pod web -o jsonpath={.status.conditions[?(@.reason==\"Deferred\")].type}{.status.conditions[?(@.type==\"PodResizeInProgress\")].type}{.status.containerStatuses[*].restartCount}", Want: `^0 1$`, Retry: 20 * time.Second},
	{Args: "-n NS get events --field-selector=reason=ResizeCompleted", Want: `Pod resize completed: {"containers":\[{"name":"steady","resources":{"limits":{"cpu":"400m","memory":"48Mi"}`, Retry: 20 * time.Second},
}

// TestResize changes the cpu and the memory of containers that run, as the kernel
// sees them.
func TestResize(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	path := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nsed -i 's/memory: 40Mi/memory: 80Mi/' \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EDITOR", path)
	cpu, err := resource.ParseQuantity(kubectl(t, "get", "node", "node1", "-o", "jsonpath={.status.allocatable.cpu}"))
	if err != nil {
		t.Fatal(err)
	}
	rest := fmt.Sprintf("%dm", cpu.MilliValue()-300)
	defer deleteNamespace(t, "resize")
	for _, s := range resizeSteps {
		s.Stdin = strings.ReplaceAll(s.Stdin, "REST", rest)
		do(t, harness.OwnKubectl(), "resize", s)
	}
}
