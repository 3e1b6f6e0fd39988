package core

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// Pod is a pod with what the filters and scores need of it worked out once.
type Pod struct {
	// Object must not be modified.
	Object *corev1.Pod
	// Group is shared by the pods that are to be spread: those of one owner, or
	// with the same labels.
	Group string
	// Held says why the pod runs nowhere yet: it waits for something that is no node.
	Held string

	requests, counted Resources
	ports             []hostPort
	affinity          *nodeaffinity.RequiredNodeAffinity
	preferred         *nodeaffinity.PreferredSchedulingTerms
	preferredError    error
	relations         relations
}

type hostPort struct {
	protocol corev1.Protocol
	ip       string
	port     int32
}

// NewPod works out a pod.
func NewPod(pod *corev1.Pod) *Pod {
	p := &Pod{Object: pod, Group: groupOf(pod), ports: hostPorts(pod), relations: relationsOf(pod)}
	p.requests, p.counted = requestsOf(pod)
	a := pod.Spec.Affinity
	if len(pod.Spec.NodeSelector) > 0 || (a != nil && a.NodeAffinity != nil) {
		required := nodeaffinity.GetRequiredNodeAffinity(pod)
		p.affinity = &required
	}
	if a != nil && a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0 {
		p.preferred, p.preferredError = nodeaffinity.NewPreferredSchedulingTerms(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	return p
}

// Relates says whether the pod demands something of the pods around it, so that
// a change on one node may let it run on another.
func (p *Pod) Relates() bool { return !p.relations.none() }

// Exceeds says whether the pod takes more of anything than the other one.
func (p *Pod) Exceeds(o *Pod) bool { return !p.requests.within(o.requests) }

func groupOf(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return pod.Namespace + "/" + string(owner.UID)
	}
	if len(pod.Labels) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(pod.Namespace)
	for _, k := range slices.Sorted(maps.Keys(pod.Labels)) {
		b.WriteString("," + k + "=" + pod.Labels[k])
	}
	return b.String()
}

func hostPorts(pod *corev1.Pod) []hostPort {
	var out []hostPort
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort > 0 {
				proto := p.Protocol
				if proto == "" {
					proto = corev1.ProtocolTCP
				}
				out = append(out, hostPort{protocol: proto, ip: p.HostIP, port: p.HostPort})
			}
		}
	}
	return out
}

// clashes says whether two pods cannot both have their port on one node.
func (h hostPort) clashes(o hostPort) bool {
	anywhere := func(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }
	return h.port == o.port && h.protocol == o.protocol && (h.ip == o.ip || anywhere(h.ip) || anywhere(o.ip))
}

// Node is a node with the sums of what runs there.
type Node struct {
	// Name of the node.
	Name string
	// Object is nil while only its pods are known.
	Object *corev1.Node

	ready                         bool
	allocatable, requested, count Resources
	groups                        map[string]int
	ports                         map[hostPort]int
	pods                          map[types.UID]*Pod
	anti                          int // pods that keep others away
}

// NewNode returns a node of which nothing is known yet.
func NewNode(name string) *Node {
	return &Node{Name: name, groups: map[string]int{}, ports: map[hostPort]int{}, pods: map[types.UID]*Pod{}}
}

// Set takes in what the node says of itself; nil forgets it.
func (n *Node) Set(node *corev1.Node) {
	n.Object, n.ready, n.allocatable = node, false, Resources{}
	if node == nil {
		return
	}
	list := node.Status.Allocatable
	if list == nil {
		list = node.Status.Capacity
	}
	n.allocatable = resourcesOf(list)
	if _, told := list[corev1.ResourcePods]; !told {
		n.allocatable.Pods = defaultPods
	}
	n.ready = Ready(node)
}

// Ready says whether a node takes pods, by its condition.
func Ready(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Add counts a pod in.
func (n *Node) Add(p *Pod) { n.account(p, 1) }

// Remove counts a pod out.
func (n *Node) Remove(p *Pod) { n.account(p, -1) }

// Empty says that no pod is counted.
func (n *Node) Empty() bool { return n.requested.Pods == 0 }

func (n *Node) account(p *Pod, sign int64) {
	n.requested.add(p.requests, sign)
	n.count.add(p.counted, sign)
	if sign > 0 {
		n.pods[p.Object.UID] = p
	} else {
		delete(n.pods, p.Object.UID)
	}
	if len(p.relations.anti) > 0 {
		n.anti += int(sign)
	}
	if p.Group != "" {
		if n.groups[p.Group] += int(sign); n.groups[p.Group] == 0 {
			delete(n.groups, p.Group)
		}
	}
	for _, h := range p.ports {
		if n.ports[h] += int(sign); n.ports[h] == 0 {
			delete(n.ports, h)
		}
	}
}
