// Package cache holds the nodes with the sums of what runs there, and the pods
// that were assigned but are not yet seen as such: without them the same room
// would be given away twice.
package cache

import (
	"cmp"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/scheduler/core"
)

// Cache is fed by the informers and asked by the scheduler.
type Cache struct {
	mu     sync.Mutex
	nodes  map[string]*core.Node
	sorted []*core.Node // those that exist, by name
	pods   map[types.UID]placed
	placer *core.Placer
}

// placed is a pod that is counted on a node.
type placed struct {
	pod     *core.Pod
	node    string
	assumed bool
}

// New returns an empty cache.
func New() *Cache {
	return &Cache{nodes: map[string]*core.Node{}, pods: map[types.UID]placed{}, placer: core.NewPlacer()}
}

// SetNode takes a new or changed node in.
func (c *Cache) SetNode(node *corev1.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.node(node.Name)
	if n.Object == nil {
		i, _ := slices.BinarySearchFunc(c.sorted, node.Name, byName)
		c.sorted = slices.Insert(c.sorted, i, n)
	}
	n.Set(node)
}

// RemoveNode forgets a node; the pods on it stay counted until they go.
func (c *Cache) RemoveNode(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[name]
	if !ok || n.Object == nil {
		return
	}
	n.Set(nil)
	if i, found := slices.BinarySearchFunc(c.sorted, name, byName); found {
		c.sorted = slices.Delete(c.sorted, i, i+1)
	}
	c.sweep(n)
}

// SetPod takes a pod in as the cluster has it, and returns the node on which it
// takes less room than before, "" for none. A pod without a node leaves an
// assumption standing: the binding is on its way.
func (c *Cache) SetPod(pod *corev1.Pod) (node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pod.Spec.NodeName == "" {
		return ""
	}
	before, now := c.pods[pod.UID], core.NewPod(pod)
	c.uncount(pod.UID)
	c.count(now, pod.Spec.NodeName, false)
	if before.pod != nil && before.pod.Exceeds(now) {
		return before.node
	}
	return ""
}

// RemovePod forgets a pod that is gone or has ended, and returns the node whose
// room it took, "" for none. That may be one on which it was never seen.
func (c *Cache) RemovePod(uid types.UID) (node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	node = c.pods[uid].node
	c.uncount(uid)
	return node
}

// Forget takes an assumption back; a pod seen on its node since then stays.
func (c *Cache) Forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pods[uid].assumed {
		c.uncount(uid)
	}
}

// Assumed says that the pod was given a node and is not seen there yet.
func (c *Cache) Assumed(uid types.UID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pods[uid].assumed
}

// Place chooses a node for each pod in turn and assumes the choice, so that the
// next one sees it. The results are in the order of the pods.
func (c *Cache) Place(pods []*core.Pod) []core.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]core.Result, len(pods))
	for i, p := range pods {
		if old, known := c.pods[p.Object.UID]; known {
			// Seen on its node already: the queue was behind.
			out[i] = core.Result{Node: c.nodes[old.node]}
			continue
		}
		out[i] = c.placer.Place(p, c.sorted)
		if n := out[i].Node; n != nil {
			c.count(p, n.Name, true)
		}
	}
	return out
}

// Fits says whether the pod could run on the named node now.
func (c *Cache) Fits(p *core.Pod, node string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.nodes[node]
	return ok && core.Fits(p, n, c.sorted)
}

// Explain judges every node for the pod, as if it were not placed yet.
func (c *Cache) Explain(p *core.Pod) ([]core.Verdict, core.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, known := c.pods[p.Object.UID]; known {
		c.nodes[old.node].Remove(old.pod)
		defer c.nodes[old.node].Add(old.pod)
	}
	return c.placer.Explain(p, c.sorted)
}

func (c *Cache) node(name string) *core.Node {
	n, ok := c.nodes[name]
	if !ok {
		n = core.NewNode(name)
		c.nodes[name] = n
	}
	return n
}

func (c *Cache) count(p *core.Pod, node string, assumed bool) {
	c.node(node).Add(p)
	c.pods[p.Object.UID] = placed{pod: p, node: node, assumed: assumed}
}

func (c *Cache) uncount(uid types.UID) {
	old, known := c.pods[uid]
	if !known {
		return
	}
	n := c.nodes[old.node]
	n.Remove(old.pod)
	delete(c.pods, uid)
	c.sweep(n)
}

// sweep drops a node that neither exists nor has pods.
func (c *Cache) sweep(n *core.Node) {
	if n.Object == nil && n.Empty() {
		delete(c.nodes, n.Name)
	}
}

func byName(n *core.Node, name string) int { return cmp.Compare(n.Name, name) }
