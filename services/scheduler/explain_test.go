package scheduler_test

import (
	"slices"
	"testing"
	"time"

	schedulerv1 "github.com/musterhq/muster/proto/muster/scheduler/v1"
	"github.com/musterhq/muster/services/scheduler"
)

func TestExplain(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("a", "1"), node("b", "4"), node("c", "8"))
		leader, _ := f.start("a")
		standby, _ := f.start("b")
		create(f, pod("bound", "2"), pod("stuck", "9"))
		time.Sleep(time.Second)
		for _, s := range []*scheduler.Scheduler{leader, standby} {
			resp, err := s.Explain(t.Context(), &schedulerv1.ExplainRequest{Namespace: "default", Name: "bound"})
			if err != nil {
				t.Fatal(err)
			}
			if resp.NodeName != "c" || resp.Leading != s.Leading() || resp.Message != "Successfully assigned default/bound to c" {
				t.Errorf("bound: %v", resp)
			}
			if len(resp.Nodes) != 3 || resp.Nodes[0].Node != "c" || !resp.Nodes[0].Feasible || len(resp.Nodes[0].Scores) == 0 ||
				resp.Nodes[2].Node != "a" || !slices.Equal(resp.Nodes[2].Reasons, []string{"Insufficient cpu"}) {
				t.Errorf("bound: %v", resp.Nodes)
			}
			resp, err = s.Explain(t.Context(), &schedulerv1.ExplainRequest{Namespace: "default", Name: "stuck"})
			if err != nil || resp.NodeName != "" || resp.Message != "0/3 nodes are available: 3 Insufficient cpu." {
				t.Errorf("stuck: %v, %v", resp, err)
			}
		}
	})
}
