package core

import (
	corev1 "k8s.io/api/core/v1"
	helpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
)

const maxScore = 100

// scorer rates nodes from 0 to 100. It sees all feasible ones at once, for some
// ratings compare them.
type scorer struct {
	name   string
	weight int64
	score  func(p *Pod, nodes []*Node, out []int64)
}

// scorers in the order in which they are told. Spreading outweighs the rest:
// what a user sees first is whether the copies stand on different machines.
func scorers() []scorer {
	return []scorer{
		{"Spread", 3, spread},
		{"TaintToleration", 3, preferUntainted},
		{"NodeAffinity", 2, preferAffinity},
		{"LeastAllocated", 1, leastAllocated},
		{"BalancedAllocation", 1, balancedAllocation},
	}
}

func spread(p *Pod, nodes []*Node, out []int64) {
	if p.Group == "" {
		fill(out, maxScore)
		return
	}
	for i, n := range nodes {
		out[i] = int64(n.groups[p.Group])
	}
	invert(out)
}

func preferUntainted(p *Pod, nodes []*Node, out []int64) {
	for i, n := range nodes {
		out[i] = 0
		for j := range n.Object.Spec.Taints {
			t := &n.Object.Spec.Taints[j]
			if t.Effect == corev1.TaintEffectPreferNoSchedule && !helpers.TolerationsTolerateTaint(klog.Logger{}, p.Object.Spec.Tolerations, t, false) {
				out[i]++
			}
		}
	}
	invert(out)
}

func preferAffinity(p *Pod, nodes []*Node, out []int64) {
	if p.preferred == nil || p.preferredError != nil {
		fill(out, 0)
		return
	}
	most := int64(0)
	for i, n := range nodes {
		out[i] = p.preferred.Score(n.Object)
		most = max(most, out[i])
	}
	for i := range out {
		if most > 0 {
			out[i] = out[i] * maxScore / most
		}
	}
}

func leastAllocated(p *Pod, nodes []*Node, out []int64) {
	free := func(used, all int64) int64 {
		if all <= 0 || used >= all {
			return 0
		}
		return (all - used) * maxScore / all
	}
	for i, n := range nodes {
		out[i] = (free(n.count.MilliCPU+p.counted.MilliCPU, n.allocatable.MilliCPU) +
			free(n.count.Memory+p.counted.Memory, n.allocatable.Memory)) / 2
	}
}

// balancedAllocation prefers nodes whose CPU and memory fill up alike.
func balancedAllocation(p *Pod, nodes []*Node, out []int64) {
	share := func(used, all int64) float64 {
		if all <= 0 {
			return 1
		}
		return min(float64(used)/float64(all), 1)
	}
	for i, n := range nodes {
		d := share(n.count.MilliCPU+p.counted.MilliCPU, n.allocatable.MilliCPU) -
			share(n.count.Memory+p.counted.Memory, n.allocatable.Memory)
		out[i] = maxScore - int64(max(d, -d)/2*maxScore)
	}
}

func fill(out []int64, v int64) {
	for i := range out {
		out[i] = v
	}
}

// invert turns counts into scores: none is best, the most is 0.
func invert(out []int64) {
	most := int64(0)
	for _, v := range out {
		most = max(most, v)
	}
	for i, v := range out {
		if most == 0 {
			out[i] = maxScore
		} else {
			out[i] = (most - v) * maxScore / most
		}
	}
}
