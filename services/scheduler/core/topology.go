package core

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	reasonPodAffinity  = "node(s) didn't match pod affinity rules"
	reasonAntiAffinity = "node(s) didn't match pod anti-affinity rules"
	reasonExistingAnti = "node(s) didn't satisfy existing pods anti-affinity rules"
	reasonSpread       = "node(s) didn't match pod topology spread constraints"
	reasonSpreadLabel  = "node(s) didn't match pod topology spread constraints (missing required label)"
)

// term selects pods, and the label of their nodes that tells what is one place.
type term struct {
	key        string
	selector   labels.Selector
	namespaces map[string]bool // nil: every namespace
}

func (t term) selects(p *Pod) bool {
	return (t.namespaces == nil || t.namespaces[p.Object.Namespace]) && t.selector.Matches(labels.Set(p.Object.Labels))
}

// spreadRule is a topology spread constraint that must hold.
type spreadRule struct {
	term
	maxSkew    int
	minDomains int
}

// relations are what a pod demands of the pods around it.
type relations struct {
	affinity, anti []term
	spread         []spreadRule
	// What it would like, see wishes.go.
	wishes []wish
	evenly []term
}

// none says that nothing is demanded, whatever is wished for.
func (r *relations) none() bool { return len(r.affinity)+len(r.anti)+len(r.spread) == 0 }

// selector reads a label selector; one that does not parse selects nothing, so
// that the pod waits rather than runs where it must not.
func selector(s *metav1.LabelSelector) labels.Selector {
	out, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return out
}

func termsOf(pod *corev1.Pod, in []corev1.PodAffinityTerm) []term {
	var out []term
	for _, a := range in {
		t := term{key: a.TopologyKey, selector: withOwn(pod, a.LabelSelector, a.MatchLabelKeys, a.MismatchLabelKeys), namespaces: map[string]bool{}}
		for _, ns := range a.Namespaces {
			t.namespaces[ns] = true
		}
		switch {
		case a.NamespaceSelector != nil:
			// Namespaces are not looked at: a selector of some stands for all, which
			// keeps pods apart rather than together too often.
			t.namespaces = nil
		case len(a.Namespaces) == 0:
			t.namespaces[pod.Namespace] = true
		}
		out = append(out, t)
	}
	return out
}

// withOwn adds the pod's own values of some labels to a selector.
func withOwn(pod *corev1.Pod, s *metav1.LabelSelector, match, mismatch []string) labels.Selector {
	if s == nil || len(match)+len(mismatch) == 0 {
		return selector(s)
	}
	s = s.DeepCopy()
	add := func(keys []string, op metav1.LabelSelectorOperator) {
		for _, k := range keys {
			if v, ok := pod.Labels[k]; ok {
				s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: k, Operator: op, Values: []string{v}})
			}
		}
	}
	add(match, metav1.LabelSelectorOpIn)
	add(mismatch, metav1.LabelSelectorOpNotIn)
	return selector(s)
}

func relationsOf(pod *corev1.Pod) relations {
	var r relations
	if a := pod.Spec.Affinity; a != nil {
		if a.PodAffinity != nil {
			r.affinity = termsOf(pod, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
			r.wishes = append(r.wishes, wishesOf(pod, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, 1)...)
		}
		if a.PodAntiAffinity != nil {
			r.anti = termsOf(pod, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
			r.wishes = append(r.wishes, wishesOf(pod, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, -1)...)
		}
	}
	for _, c := range pod.Spec.TopologySpreadConstraints {
		t := term{key: c.TopologyKey, selector: withOwn(pod, c.LabelSelector, c.MatchLabelKeys, nil),
			namespaces: map[string]bool{pod.Namespace: true}}
		if c.WhenUnsatisfiable != corev1.DoNotSchedule {
			r.evenly = append(r.evenly, t)
			continue
		}
		rule := spreadRule{maxSkew: int(c.MaxSkew), term: t}
		if c.MinDomains != nil {
			rule.minDomains = int(*c.MinDomains)
		}
		r.spread = append(r.spread, rule)
	}
	return r
}

// surroundings are the counts that a pod's relations are judged by.
type surroundings struct {
	pod       *Pod
	affinity  []map[string]int // by term, then by place
	anti      []map[string]int
	spread    []map[string]int
	wishes    []map[string]int
	evenly    []map[string]int
	least     []int              // by spread rule
	forbidden map[[2]string]bool // places (label and value) that others keep the pod from
	alone     bool               // no pod anywhere matches every affinity term
}

// look counts; nil when neither the pod nor another has demands or wishes.
func look(p *Pod, nodes []*Node) *surroundings {
	demands := !p.relations.none() || len(p.relations.wishes)+len(p.relations.evenly) > 0
	for i := 0; !demands && i < len(nodes); i++ {
		demands = nodes[i].anti > 0
	}
	if !demands {
		return nil
	}
	s := &surroundings{pod: p, forbidden: map[[2]string]bool{}, alone: true,
		affinity: counters(len(p.relations.affinity)), anti: counters(len(p.relations.anti)), spread: counters(len(p.relations.spread)),
		wishes: counters(len(p.relations.wishes)), evenly: counters(len(p.relations.evenly))}
	for _, n := range nodes {
		s.count(n)
	}
	for i, rule := range p.relations.spread {
		least := math.MaxInt
		for _, v := range s.spread[i] {
			least = min(least, v)
		}
		if len(s.spread[i]) < rule.minDomains || least == math.MaxInt {
			least = 0
		}
		s.least = append(s.least, least)
	}
	return s
}

func counters(n int) []map[string]int {
	out := make([]map[string]int, n)
	for i := range out {
		out[i] = map[string]int{}
	}
	return out
}

func (s *surroundings) count(n *Node) {
	r := &s.pod.relations
	eligible := s.pod.affinity == nil
	if !eligible {
		ok, err := s.pod.affinity.Match(n.Object)
		eligible = ok && err == nil
	}
	for i, rule := range r.spread {
		if place, ok := n.Object.Labels[rule.key]; ok && eligible {
			s.spread[i][place] += 0
		}
	}
	for _, other := range n.pods {
		all := len(r.affinity) > 0
		for i, t := range r.affinity {
			all = tally(s.affinity[i], t, n, other) && all
		}
		s.alone = s.alone && !all
		for i, t := range r.anti {
			tally(s.anti[i], t, n, other)
		}
		for i, w := range r.wishes {
			tally(s.wishes[i], w.term, n, other)
		}
		for i, t := range r.evenly {
			if other.Object.DeletionTimestamp == nil {
				tally(s.evenly[i], t, n, other)
			}
		}
		for i, rule := range r.spread {
			if eligible && other.Object.DeletionTimestamp == nil {
				tally(s.spread[i], rule.term, n, other)
			}
		}
		for _, t := range other.relations.anti {
			if place, ok := n.Object.Labels[t.key]; ok && t.selects(s.pod) {
				s.forbidden[[2]string{t.key, place}] = true
			}
		}
	}
}

func tally(into map[string]int, t term, n *Node, p *Pod) bool {
	place, ok := n.Object.Labels[t.key]
	if !ok || !t.selects(p) {
		return false
	}
	into[place]++
	return true
}

// refuse says why the node is not the place; nothing when it is.
func (s *surroundings) refuse(n *Node) []string {
	if s == nil {
		return nil
	}
	r, at := &s.pod.relations, n.Object.Labels
	for i, rule := range r.spread {
		place, ok := at[rule.key]
		if !ok {
			return refuse(reasonSpreadLabel)
		}
		self := 0
		if rule.selects(s.pod) {
			self = 1
		}
		if s.spread[i][place]+self-s.least[i] > rule.maxSkew {
			return refuse(reasonSpread)
		}
	}
	for i, t := range r.affinity {
		place, ok := at[t.key]
		// The first of a group that wants to be together may go anywhere.
		if !ok || (s.affinity[i][place] == 0 && !(s.alone && s.selectsItself())) {
			return refuse(reasonPodAffinity)
		}
	}
	for i, t := range r.anti {
		if place, ok := at[t.key]; ok && s.anti[i][place] > 0 {
			return refuse(reasonAntiAffinity)
		}
	}
	for forbidden := range s.forbidden {
		if place, ok := at[forbidden[0]]; ok && place == forbidden[1] {
			return refuse(reasonExistingAnti)
		}
	}
	return nil
}

func (s *surroundings) selectsItself() bool {
	for _, t := range s.pod.relations.affinity {
		if !t.selects(s.pod) {
			return false
		}
	}
	return true
}
