//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// testNodes: what administrators do to nodes. Each kubectl has a node of its own, so
// that they do not meet; drain has pods of the namespace alone to move.
func testNodes(t *testing.T, c *cluster) {
	for name, kubectl := range map[string]struct{ path, node string }{
		"debian": {harness.DebianKubectl(), "node1"}, "own": {harness.OwnKubectl(), "node2"},
	} {
		t.Run(name, func(t *testing.T) { // not in parallel: others need nodes
			k := c.kubectl(t, kubectl.path)
			k.Names = append(k.Names, "$NODE", kubectl.node)
			try(t, k, nodeSteps)
		})
	}
}

var nodeSteps = []harness.Step{
	{Args: "taint node $NODE example.com/a=b:NoSchedule", Want: `^node/$NODE tainted\n$`},
	{Args: "taint node $NODE example.com/a=b:NoSchedule", Fails: true, Want: `^error: (n|N)ode $NODE already has example.com/a taint\(s\) with same effect\(s\) and --overwrite is false\n$`},
	{Args: "taint node $NODE example.com/a=c:NoSchedule --overwrite", Want: `^node/$NODE modified\n$`},
	{Args: "describe node $NODE", Want: `(?s)Roles:  <none>\n.*Taints:  example.com/a=c:NoSchedule\nUnschedulable:  false\n.*Conditions:\n.*MemoryPressure  False .*KubeletHasSufficientMemory .*Ready  True .*Addresses:\n  InternalIP:  127.0.0.1\n  Hostname:  $NODE\nCapacity:\n.*pods:  \d+\n.*System Info:\n.*PodCIDR:  10\.244\.\d\.0/24\n.*Allocated resources:\n`},
	{Args: "taint node $NODE example.com/a-", Want: `^node/$NODE untainted\n$`},
	{Args: "taint node $NODE example.com/a-", Fails: true, Want: `taint "example.com/a" not found`},
	{Args: "taint node $NODE a=b:Sometimes", Fails: true, Want: `invalid taint effect: Sometimes, unsupported taint effect`},
	{Args: "label node $NODE example.com/x=y", Want: `^node/$NODE labeled\n$`},
	{Args: "get nodes -l example.com/x=y -o name", Want: `^node/$NODE\n$`},
	{Args: "label node $NODE example.com/x-", Want: `labeled`},
	{Args: "cordon $NODE", Want: `^node/$NODE cordoned\n$`},
	{Args: "cordon $NODE", Want: `^node/$NODE already cordoned\n$`},
	{Args: "get node $NODE", Want: `\n$NODE  Ready,SchedulingDisabled  <none>  `},
	{Args: "get node $NODE -o jsonpath={.spec.taints[*].key}", Want: `^node.kubernetes.io/unschedulable$`, Retry: patience},
	{Args: "uncordon $NODE", Want: `^node/$NODE uncordoned\n$`},
	{Args: "uncordon $NODE", Want: `^node/$NODE already uncordoned\n$`},

	{Args: "run loose --image=nginx --labels=in=$NS --overrides={\"spec\":{\"nodeName\":\"$NODE\",\"terminationGracePeriodSeconds\":1}}", Want: `created`},
	{Args: "apply -f -", Stdin: guarded, Want: `created`},
	{Args: `patch deployment guarded -p {"spec":{"template":{"metadata":{"labels":{"in":"$NS"}},"spec":{"nodeSelector":{"kubernetes.io/hostname":"$NODE"}}}}}`, Want: `patched`},
	{Args: "rollout status deployment guarded --timeout=60s", Want: `successfully`},
	{Args: "wait --for=condition=Ready pod/loose --timeout=60s", Want: `condition met`},
	{Args: "get pdb guarded", Want: `\nguarded  1  N/A  0  \d+s\n`, Retry: patience},
	{Args: "drain $NODE --pod-selector=in=$NS --timeout=5s", Fails: true, Want: `(?s)node/$NODE (already )?cordoned\n.*cannot delete (cannot delete )?(P|p)ods .*(declare no controller|not managed by ReplicationController, ReplicaSet, Job, DaemonSet or StatefulSet) \(use --force to override\): $NS/loose`},
	{Args: "drain $NODE --pod-selector=in=$NS --force --timeout=4s", Fails: true, Want: `(?s)evicting pod $NS/guarded-\S+\n.*error when evicting pods?[ /]"guarded-\S+"( -n "$NS")? \(will retry after 5s\): Cannot evict pod as it would violate the pod's disruption budget.\n`},
	{Args: "get pod loose", Fails: true, Want: `NotFound`, Retry: patience},
	{Args: "delete pdb guarded", Want: `deleted`},
	{Args: "drain $NODE --pod-selector=in=$NS --timeout=30s", Want: `(?s)node/$NODE already cordoned\nevicting pod $NS/guarded-\S+\npod/guarded-\S+ evicted\nnode/$NODE (drained|evicted)\n$`},
	{Args: "get pods -l app=guarded", Want: `\nguarded-\S+  0/1  Pending  `, Retry: patience},
	{Args: "get events --field-selector reason=FailedScheduling", Want: `0/2 nodes are available: 1 node\(s\) didn't match Pod's node affinity/selector, 1 node\(s\) were unschedulable`, Retry: patience},
	{Args: "uncordon $NODE", Want: `uncordoned`},
	{Args: "delete node nobody", Fails: true, Want: `^Error from server \(NotFound\): nodes "nobody" not found\n$`},
	{Args: "top node", Fails: true, Want: `Metrics API not available`},
	{Args: "describe node nobody", Fails: true, Want: `^Error from server \(NotFound\): nodes "nobody" not found\n$`},
}
