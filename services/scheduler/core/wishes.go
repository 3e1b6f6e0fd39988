package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// wish is a preferred affinity to pods; a negative weight is the opposite.
type wish struct {
	term
	weight int64
}

func wishesOf(pod *corev1.Pod, in []corev1.WeightedPodAffinityTerm, sign int64) []wish {
	var out []wish
	for i := range in {
		t := termsOf(pod, []corev1.PodAffinityTerm{in[i].PodAffinityTerm})[0]
		out = append(out, wish{term: t, weight: sign * int64(in[i].Weight)})
	}
	return out
}

// preferCompany rates by the pods around that the pod would like to be near or
// far from. What those pods would like is not asked.
func (pl *Placer) preferCompany(p *Pod, nodes []*Node, out []int64) {
	fill(out, 0)
	if len(p.relations.wishes) == 0 {
		return
	}
	for i, n := range nodes {
		for j, w := range p.relations.wishes {
			if place, ok := n.Object.Labels[w.key]; ok {
				out[i] += w.weight * int64(pl.around.wishes[j][place])
			}
		}
	}
	least, most := slices.Min(out), slices.Max(out)
	for i, v := range out {
		out[i] = 0
		if most > least {
			out[i] = (v - least) * maxScore / (most - least)
		}
	}
}

// preferEvenly rates by how few of the selected pods are in the same place, for
// the constraints that need not hold. A node without the label is the last choice.
func (pl *Placer) preferEvenly(p *Pod, nodes []*Node, out []int64) {
	fill(out, 0)
	if len(p.relations.evenly) == 0 {
		return
	}
	elsewhere := make([]bool, len(nodes))
	for i, n := range nodes {
		for j, t := range p.relations.evenly {
			place, ok := n.Object.Labels[t.key]
			elsewhere[i] = elsewhere[i] || !ok
			out[i] += int64(pl.around.evenly[j][place])
		}
	}
	invert(out)
	for i := range out {
		if elsewhere[i] {
			out[i] = 0
		}
	}
}
