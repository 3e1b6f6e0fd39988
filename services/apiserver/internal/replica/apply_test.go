package replica_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// Transactions that arrive together are told apart: what is wrong with one is no
// other's business, and each gets its own result, on the leader and elsewhere.
func TestApplyAllAnswersEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		for i, m := range c.members {
			name := fmt.Sprint(i)
			invalid := &storev1.Transaction{Operations: put("", "").Operations}
			large := put(name, strings.Repeat("x", 9<<20))
			outcomes := m.ApplyAll(t.Context(), []*storev1.Transaction{
				create(name, "first"), invalid, create(name, "second"), large, put(name, "third"),
			})
			if len(outcomes) != 5 {
				t.Fatalf("%d outcomes", len(outcomes))
			}
			for _, at := range []int{1, 3} {
				if !errors.Is(outcomes[at].Err, replica.ErrInvalid) || outcomes[at].Result != nil {
					t.Errorf("%s: outcome %d is %v", m.id, at, outcomes[at])
				}
			}
			for at, failed := range map[int]int32{0: -1, 2: 0, 4: -1} {
				if o := outcomes[at]; o.Err != nil || o.Result.GetFailedOperation() != failed {
					t.Errorf("%s: outcome %d is %v", m.id, at, o)
				}
			}
			if got := m.read(t, name); got != "third" {
				t.Errorf("%s: read %q", m.id, got)
			}
		}
		sameState(t, c.members...)
	})
}

// More than a log entry may hold is applied all the same, each once and with its
// own result.
func TestApplyAllExceedsAnEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		var many []*storev1.Transaction
		for i := range 1500 {
			many = append(many, create(fmt.Sprint(i), strings.Repeat("x", i)))
		}
		for _, m := range c.members[:2] {
			for i, o := range m.ApplyAll(t.Context(), many) {
				switch {
				case o.Err != nil:
					t.Fatalf("%s: transaction %d: %v", m.id, i, o.Err)
				case m == c.members[0] && o.Result.GetFailedOperation() != -1, m != c.members[0] && o.Result.GetFailedOperation() != 0:
					t.Fatalf("%s: transaction %d: %v", m.id, i, o.Result)
				}
			}
		}
		if n := c.members[0].Store().View().Count("pods", ""); n != len(many) {
			t.Fatalf("%d entries", n)
		}
		if got := c.members[0].ApplyAll(t.Context(), nil); len(got) != 0 {
			t.Fatalf("no transactions gave %v", got)
		}
	})
}

// Who does not wait any longer is told so for each.
func TestApplyAllEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		c.network.setCut("m1", true)
		c.network.setCut("m2", true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, o := range c.members[2].ApplyAll(ctx, []*storev1.Transaction{put("x", "1"), put("y", "1")}) {
			if !errors.Is(o.Err, replica.ErrNoLeader) || !errors.Is(o.Err, context.DeadlineExceeded) {
				t.Errorf("outcome %v", o)
			}
		}
	})
}

// What callers of all members write at the same time shares log entries.
func TestWritesShareEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		const callers, writes = 90, 10
		before := c.members[0].Store().View().Index()
		var working sync.WaitGroup
		for i := range callers {
			working.Go(func() {
				for n := range writes {
					c.members[i%3].write(t, create(fmt.Sprint(i, n), "x"))
				}
			})
		}
		working.Wait()
		c.members[0].read(t, "")
		if entries := c.members[0].Store().View().Index() - before; entries > callers*writes/5 {
			t.Errorf("%d writes took %d entries", callers*writes, entries)
		}
		sameState(t, c.members...)
	})
}
