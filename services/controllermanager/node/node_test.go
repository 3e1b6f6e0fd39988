package node_test

import (
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/controllermanager/node"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func withReady(status corev1.ConditionStatus) *corev1.Node {
	n := &corev1.Node{}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	return n
}

func TestNextCIDR(t *testing.T) {
	for name, tc := range map[string]struct {
		cluster string
		taken   []string
		want    string // "" for an error
	}{
		"first":              {"10.244.0.0/16", nil, "10.244.0.0/24"},
		"next":               {"10.244.0.0/16", []string{"10.244.0.0/24"}, "10.244.1.0/24"},
		"gap":                {"10.244.0.0/16", []string{"10.244.0.0/24", "10.244.2.0/24"}, "10.244.1.0/24"},
		"larger one taken":   {"10.244.0.0/16", []string{"10.244.0.0/22"}, "10.244.4.0/24"},
		"part of one taken":  {"10.244.0.0/16", []string{"10.244.0.128/25"}, "10.244.1.0/24"},
		"full":               {"10.0.0.0/23", []string{"10.0.0.0/24", "10.0.1.0/24"}, ""},
		"too small":          {"10.0.0.0/25", nil, ""},
		"end of all numbers": {"255.255.255.0/24", []string{"255.255.255.0/24"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var nodes []*corev1.Node
			for _, s := range tc.taken {
				nodes = append(nodes, &corev1.Node{Spec: corev1.NodeSpec{PodCIDR: s}})
			}
			got, err := node.NextCIDR(netip.MustParsePrefix(tc.cluster), 24, nodes)
			if (err != nil) != (tc.want == "") || (err == nil && got.String() != tc.want) {
				t.Errorf("%v, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	answer := node.Report{Outcome: node.Answered, Ready: true}
	unready := node.Report{Outcome: node.Answered, Reason: "ContainerRuntimeNotReady"}
	starting := node.Report{Outcome: node.Answered, Reason: "NetworkNotReady"}
	refused, silent := node.Report{Outcome: node.Refused}, node.Report{Outcome: node.Silent}
	for name, tc := range map[string]struct {
		reports []node.Report // five seconds apart, the last one now
		want    corev1.ConditionStatus
	}{
		"answers":                        {[]node.Report{answer}, corev1.ConditionTrue},
		"answers, not ready":             {[]node.Report{answer, unready}, corev1.ConditionFalse},
		"starts":                         {[]node.Report{answer, starting}, ""},
		"refuses, then starts for long":  {[]node.Report{answer, refused, starting, starting}, corev1.ConditionFalse},
		"silent":                         {[]node.Report{answer, silent}, corev1.ConditionUnknown},
		"refuses":                        {[]node.Report{answer, refused}, ""},
		"refuses for five seconds":       {[]node.Report{answer, refused, refused}, ""},
		"refuses for ten seconds":        {[]node.Report{answer, refused, refused, refused}, corev1.ConditionUnknown},
		"refuses again after an answer":  {[]node.Report{refused, refused, answer, refused}, ""},
		"silent, then refuses: begins":   {[]node.Report{silent, refused}, ""},
		"comes back":                     {[]node.Report{silent, answer}, corev1.ConditionTrue},
		"refused at first, then for ten": {[]node.Report{refused, refused, refused}, corev1.ConditionUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			var h node.Health
			at := now
			for i, r := range tc.reports {
				at = now.Add(time.Duration(i) * 5 * time.Second)
				h = h.After(r, at)
			}
			v, decided, wait := h.Verdict(at)
			if decided != (tc.want != "") || v.Status != tc.want || (decided == (wait > 0)) {
				t.Errorf("%q decided=%v wait=%v, want %q", v.Status, decided, wait, tc.want)
			}
		})
	}
}

func TestEvictAt(t *testing.T) {
	unreachable := corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute, TimeAdded: ptr.To(metav1.NewTime(now.Add(-time.Minute)))}
	other := corev1.Taint{Key: "k", Value: "v", Effect: corev1.TaintEffectNoExecute}
	tolerate := func(key string, seconds ...int64) corev1.Toleration {
		tol := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}
		for _, s := range seconds {
			tol.TolerationSeconds = &s
		}
		return tol
	}
	const never = time.Duration(-1 << 62)
	for name, tc := range map[string]struct {
		taints []corev1.Taint
		tols   []corev1.Toleration
		want   time.Duration // from now
	}{
		"no taint":               {nil, nil, never},
		"only not to schedule":   {[]corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}}, nil, never},
		"not tolerated":          {[]corev1.Taint{unreachable}, nil, 0},
		"tolerated for a while":  {[]corev1.Taint{unreachable}, []corev1.Toleration{tolerate(unreachable.Key, 300)}, 4 * time.Minute},
		"tolerated for ever":     {[]corev1.Taint{unreachable}, []corev1.Toleration{tolerate(unreachable.Key)}, never},
		"the shortest counts":    {[]corev1.Taint{unreachable}, []corev1.Toleration{tolerate("", 300), tolerate(unreachable.Key, 90), tolerate("")}, 30 * time.Second},
		"negative is at once":    {[]corev1.Taint{unreachable}, []corev1.Toleration{tolerate(unreachable.Key, -5)}, -time.Minute},
		"one of two tolerated":   {[]corev1.Taint{unreachable, other}, []corev1.Toleration{tolerate(unreachable.Key, 300)}, 0},
		"by value":               {[]corev1.Taint{other}, []corev1.Toleration{{Key: "k", Value: "v"}}, never},
		"by another value":       {[]corev1.Taint{other}, []corev1.Toleration{{Key: "k", Value: "w"}}, 0},
		"by another effect":      {[]corev1.Taint{other}, []corev1.Toleration{{Key: "k", Value: "v", Effect: corev1.TaintEffectNoSchedule}}, 0},
		"whatever key and value": {[]corev1.Taint{other}, []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, never},
	} {
		t.Run(name, func(t *testing.T) {
			at, stays := node.EvictAt(&corev1.Pod{Spec: corev1.PodSpec{Tolerations: tc.tols}}, tc.taints, now)
			if stays != (tc.want == never) || (!stays && at.Sub(now) != tc.want) {
				t.Errorf("after %v, never=%v; want %v", at.Sub(now), stays, tc.want)
			}
		})
	}
}

func TestDisrupted(t *testing.T) {
	for _, tc := range []struct {
		nodes, gone int
		want        bool
	}{{0, 0, false}, {1, 0, false}, {1, 1, true}, {2, 1, false}, {2, 2, true}, {3, 2, false}, {4, 2, false}, {5, 3, true},
		{10, 5, false}, {10, 6, true}, {100, 90, false}, {100, 100, true}} {
		var nodes []*corev1.Node
		for i := range tc.nodes {
			status := corev1.ConditionTrue
			if i < tc.gone {
				status = corev1.ConditionUnknown
			}
			nodes = append(nodes, withReady(status))
		}
		if got := node.Disrupted(nodes); got != tc.want {
			t.Errorf("%d of %d gone: %v", tc.gone, tc.nodes, got)
		}
	}
}

func TestTaintsKeepTimeAndStrangers(t *testing.T) {
	n := withReady(corev1.ConditionUnknown)
	n.Spec.Taints = []corev1.Taint{{Key: "mine", Effect: corev1.TaintEffectNoExecute}, {Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoExecute}}
	first := node.Taints(n, now)
	if len(first) != 3 || first[0].Key != "mine" || first[2].Key != corev1.TaintNodeUnreachable || !first[2].TimeAdded.Time.Equal(now) {
		t.Fatalf("%+v", first)
	}
	n.Spec.Taints = first
	if again := node.Taints(n, now.Add(time.Hour)); !again[2].TimeAdded.Time.Equal(now) {
		t.Errorf("the time moved: %+v", again)
	}
	n.Status.Conditions[0].Status = corev1.ConditionTrue
	if left := node.Taints(n, now); len(left) != 1 || left[0].Key != "mine" {
		t.Errorf("a ready node has %+v", left)
	}
}
