package core

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
)

// Reasons in Kubernetes' words; users and tools match on them.
const (
	reasonUnschedulable = "node(s) were unschedulable"
	reasonNotReady      = "node(s) were not ready"
	reasonNodeName      = "node(s) didn't match the requested node name"
	reasonAffinity      = "node(s) didn't match Pod's node affinity/selector"
	reasonPorts         = "node(s) didn't have free ports for the requested pod ports"
	reasonPods          = "Too many pods"
)

// filter says why a pod cannot run on a node; nothing when it can.
type filter struct {
	name  string
	check func(p *Pod, n *Node) []string
}

// filters are asked in this order, and the first that refuses gives the
// reasons, as Kubernetes does.
func filters() []filter {
	return []filter{
		{"NodeUnschedulable", nodeUnschedulable},
		{"NodeName", nodeName},
		{"TaintToleration", taints},
		{"NodeReady", nodeReady},
		{"NodeAffinity", nodeAffinity},
		{"NodePorts", nodePorts},
		{"NodeResourcesFit", resourcesFit},
	}
}

func refuse(reason string) []string { return []string{reason} }

func nodeUnschedulable(p *Pod, n *Node) []string {
	if n.Object.Spec.Unschedulable && !tolerates(p, corev1.TaintNodeUnschedulable) {
		return refuse(reasonUnschedulable)
	}
	return nil
}

// nodeReady keeps pods off a node before its taint says so; what tolerates the
// taint (a DaemonSet's pod) may go there.
func nodeReady(p *Pod, n *Node) []string {
	if !n.ready && !tolerates(p, corev1.TaintNodeNotReady) {
		return refuse(reasonNotReady)
	}
	return nil
}

func tolerates(p *Pod, key string) bool {
	taint := corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule}
	return helpers.TolerationsTolerateTaint(klog.Logger{}, p.Object.Spec.Tolerations, &taint, false)
}

func nodeName(p *Pod, n *Node) []string {
	if want := p.Object.Spec.NodeName; want != "" && want != n.Name {
		return refuse(reasonNodeName)
	}
	return nil
}

func nodeAffinity(p *Pod, n *Node) []string {
	if p.affinity == nil {
		return nil
	}
	if ok, err := p.affinity.Match(n.Object); err != nil || !ok {
		return refuse(reasonAffinity)
	}
	return nil
}

func taints(p *Pod, n *Node) []string {
	if len(n.Object.Spec.Taints) == 0 {
		return nil
	}
	t, found := helpers.FindMatchingUntoleratedTaint(klog.Logger{}, n.Object.Spec.Taints, p.Object.Spec.Tolerations, func(t *corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	}, false)
	if !found {
		return nil
	}
	return refuse(fmt.Sprintf("node(s) had untolerated taint {%s: %s}", t.Key, t.Value))
}

func nodePorts(p *Pod, n *Node) []string {
	for _, want := range p.ports {
		for have := range n.ports {
			if want.clashes(have) {
				return refuse(reasonPorts)
			}
		}
	}
	return nil
}

// resourcesFit names every resource that is short, not just the first.
func resourcesFit(p *Pod, n *Node) []string {
	var out []string
	if n.requested.Pods+1 > n.allocatable.Pods {
		out = append(out, reasonPods)
	}
	short := func(want, used, all int64, reason string) {
		if want > 0 && want > all-used {
			out = append(out, reason)
		}
	}
	short(p.requests.MilliCPU, n.requested.MilliCPU, n.allocatable.MilliCPU, "Insufficient cpu")
	short(p.requests.Memory, n.requested.Memory, n.allocatable.Memory, "Insufficient memory")
	short(p.requests.Ephemeral, n.requested.Ephemeral, n.allocatable.Ephemeral, "Insufficient ephemeral-storage")
	if len(p.requests.Extended) > 0 {
		for _, name := range slices.Sorted(maps.Keys(p.requests.Extended)) {
			short(p.requests.Extended[name], n.requested.Extended[name], n.allocatable.Extended[name], "Insufficient "+string(name))
		}
	}
	return out
}

// refusals asks the filters, and last, for it costs most, the surroundings.
func refusals(table []filter, around *surroundings, p *Pod, n *Node) []string {
	if p.Held != "" {
		return refuse(p.Held)
	}
	for _, f := range table {
		if reasons := f.check(p, n); len(reasons) > 0 {
			return reasons
		}
	}
	return around.refuse(n)
}

// Fits says whether a pod could run on a node now; nodes are all there are.
func Fits(p *Pod, n *Node, nodes []*Node) bool {
	if n.Object == nil || len(refusals(filters(), nil, p, n)) > 0 {
		return false
	}
	return len(look(p, nodes).refuse(n)) == 0
}
