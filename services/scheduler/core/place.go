package core

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Result is where a pod goes, or why nowhere.
type Result struct {
	// Node chosen; nil when no node is feasible.
	Node *Node
	// Total of nodes looked at.
	Total int
	// Reasons with the count of nodes each holds for.
	Reasons map[string]int
	// Held is the pod's, which no node was asked about then.
	Held string
}

// Placer places pods; it keeps its buffers, so it is for one goroutine.
type Placer struct {
	filters  []filter
	scorers  []scorer
	around   *surroundings
	feasible []*Node
	part     []int64
	sum      []int64
}

// NewPlacer makes one.
func NewPlacer() *Placer {
	pl := &Placer{filters: filters(), scorers: scorers()}
	// What the pod asks for outweighs the spreading that nobody asked for.
	pl.scorers = append(pl.scorers, scorer{"PodAffinity", 4, pl.preferCompany}, scorer{"TopologySpread", 4, pl.preferEvenly})
	return pl
}

// Place chooses among nodes, which are ordered by name. Equal scores go to the
// node with fewer pods, then to the first by name, so that the same state always
// gives the same answer.
func (pl *Placer) Place(p *Pod, nodes []*Node) Result {
	res := Result{Total: len(nodes), Held: p.Held}
	pl.feasible = pl.feasible[:0]
	if p.Held != "" {
		return res
	}
	pl.around = look(p, nodes)
	for _, n := range nodes {
		reasons := refusals(pl.filters, pl.around, p, n)
		if len(reasons) == 0 {
			pl.feasible = append(pl.feasible, n)
			continue
		}
		if res.Reasons == nil {
			res.Reasons = map[string]int{}
		}
		for _, r := range reasons {
			res.Reasons[r]++
		}
	}
	if len(pl.feasible) == 0 {
		return res
	}
	pl.rate(p, nil)
	best := 0
	for i := 1; i < len(pl.feasible); i++ {
		if pl.sum[i] > pl.sum[best] || (pl.sum[i] == pl.sum[best] && pl.feasible[i].requested.Pods < pl.feasible[best].requested.Pods) {
			best = i
		}
	}
	res.Node = pl.feasible[best]
	return res
}

// rate sums up the weighted scores of the feasible nodes; each, if given, is told
// every score.
func (pl *Placer) rate(p *Pod, each func(name string, scores []int64)) {
	n := len(pl.feasible)
	pl.part, pl.sum = slices.Grow(pl.part[:0], n)[:n], slices.Grow(pl.sum[:0], n)[:n]
	clear(pl.sum)
	for _, s := range pl.scorers {
		s.score(p, pl.feasible, pl.part)
		for i, v := range pl.part {
			pl.sum[i] += s.weight * v
		}
		if each != nil {
			each(s.name, pl.part)
		}
	}
}

// Message sums the refusals up as Kubernetes does: "0/3 nodes are available: 1
// Insufficient cpu, 2 node(s) had untolerated taint {k: v}."
func (r Result) Message() string {
	if r.Total == 0 {
		return "no nodes available to schedule pods"
	}
	if r.Held != "" {
		return fmt.Sprintf("0/%d nodes are available: %s.", r.Total, r.Held)
	}
	parts := make([]string, 0, len(r.Reasons))
	for reason, n := range r.Reasons {
		parts = append(parts, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(parts)
	return fmt.Sprintf("0/%d nodes are available: %s.", r.Total, strings.Join(parts, ", "))
}

// Verdict is what is thought of one node.
type Verdict struct {
	// Node name.
	Node string
	// Feasible says whether every filter passed.
	Feasible bool
	// Reasons it is not.
	Reasons []string
	// Score is the weighted mean, 0 to 100.
	Score int64
	// Scores by scorer, each 0 to 100.
	Scores map[string]int64

	pods, exact int64
}

// Explain judges every node, best first: the first one is where Place would put
// the pod.
func (pl *Placer) Explain(p *Pod, nodes []*Node) ([]Verdict, Result) {
	res := pl.Place(p, nodes)
	out := make([]Verdict, 0, len(nodes))
	at := make(map[*Node]int, len(pl.feasible))
	for i, n := range pl.feasible {
		at[n] = i
	}
	scores := make([]map[string]int64, len(pl.feasible))
	weights := int64(0)
	for _, s := range pl.scorers {
		weights += s.weight
	}
	pl.rate(p, func(name string, part []int64) {
		for i, v := range part {
			if scores[i] == nil {
				scores[i] = map[string]int64{}
			}
			scores[i][name] = v
		}
	})
	for _, n := range nodes {
		i, ok := at[n]
		if !ok {
			out = append(out, Verdict{Node: n.Name, Reasons: refusals(pl.filters, pl.around, p, n)})
			continue
		}
		out = append(out, Verdict{Node: n.Name, Feasible: true, Score: pl.sum[i] / weights, Scores: scores[i],
			pods: n.requested.Pods, exact: pl.sum[i]})
	}
	slices.SortStableFunc(out, func(a, b Verdict) int {
		if a.Feasible != b.Feasible {
			if a.Feasible {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.exact, a.exact), cmp.Compare(a.pods, b.pods), cmp.Compare(a.Node, b.Node))
	})
	return out, res
}
