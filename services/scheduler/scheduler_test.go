package scheduler_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	schedulerv1 "github.com/musterhq/muster/proto/muster/scheduler/v1"
)

func TestAnotherInstanceTakesOver(t *testing.T) {
	inBubble(t, func(f *fixture) {
		t := f.T
		create(f, node("n", "64"))
		a, stopA := f.start("a")
		b, _ := f.start("b")
		if !a.Leading() || b.Leading() {
			t.Fatalf("leading: a %v, b %v", a.Leading(), b.Leading())
		}
		resp, err := b.Explain(t.Context(), &schedulerv1.ExplainRequest{Namespace: "default", Name: "none"})
		if status.Code(err) != codes.NotFound {
			t.Errorf("Explain of no pod: %v, %v", resp, err)
		}
		stopA()
		create(f, pod("p", "1"))
		time.Sleep(time.Second)
		if !b.Leading() || f.pod("p").Spec.NodeName != "n" {
			t.Error("b did not take over within a second of a's end")
		}
	})
}
