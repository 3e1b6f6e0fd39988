package replica

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// An answer counts for the moment at which the request was sent, not for that at
// which it arrives.
func TestOldAnswersProveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a acks
		followers := []raft.ServerID{"b", "c"}
		old := a.next()
		asked := a.next()
		waited := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { waited <- a.wait(ctx, followers, 1, asked) }()
		a.accepted("b", old)
		a.accepted("stranger", a.next())
		synctest.Wait()
		select {
		case err := <-waited:
			t.Fatalf("an old answer, or that of one that does not count, was enough: %v", err)
		default:
		}
		a.accepted("c", a.next())
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		a.accepted("c", old)
		if n := a.count(followers, asked); n != 1 {
			t.Errorf("%d count after an old answer that came late", n)
		}
		if err := a.wait(ctx, followers, 2, asked); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one of two was enough: %v", err)
		}
	})
}
