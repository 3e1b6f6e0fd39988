package replica_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

func TestOneMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		defer c.stop()
		if r := c.members[0].write(t, create("x", "1")); r.FailedOperation != -1 || r.Revision != 1 {
			t.Fatalf("result %v", r)
		}
		if r := c.members[0].write(t, create("x", "2")); r.FailedOperation != 0 || r.Found != 1 {
			t.Fatalf("a failed precondition gave %v", r)
		}
		if got := c.members[0].read(t, "x"); got != "1" {
			t.Fatalf("read %q", got)
		}
	})
}

// A transaction that is given an id on its way is else what it was.
func TestExpiryNeedsNoID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		defer c.stop()
		tx := put("x", "1")
		tx.Operations[0].ExpiresUnix = 10
		c.members[0].write(t, tx)
		c.members[0].write(t, &storev1.Transaction{Expire: &storev1.Expire{UntilUnix: 10, Limit: 1}})
		if got := c.members[0].read(t, "x"); got != "" {
			t.Fatalf("read %q of what expired", got)
		}
	})
}

func TestAnyMemberWritesAndReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		for i := range 30 {
			writer, reader := c.members[i%3], c.members[(i+1)%3]
			want := fmt.Sprint(i)
			writer.write(t, put("x", want))
			if got := reader.read(t, "x"); got != want {
				t.Fatalf("%s read %q after %s wrote %q", reader.id, got, writer.id, want)
			}
		}
		sameState(t, c.members...)
		if members := c.members[1].Members(); len(members) != 3 {
			t.Fatalf("members %v", members)
		}
	})
}

// TestLeaderIsLost cuts the leader off while every member writes. No write that
// was acknowledged may be lost and none applied twice.
func TestLeaderIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		stopWriting := make(chan struct{})
		var writing sync.WaitGroup
		var acknowledged [3][]string
		var conflicts atomic.Int64
		for i, m := range c.members {
			writing.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stopWriting:
						return
					default:
					}
					name := fmt.Sprintf("%s-%d", m.id, n)
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					result, err := m.Apply(ctx, create(name, name))
					cancel()
					switch {
					case err != nil:
						t.Errorf("write %s: %v", name, err)
						return
					case result.FailedOperation != -1:
						conflicts.Add(1)
					default:
						acknowledged[i] = append(acknowledged[i], name)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		for range 3 {
			leader := c.leader(c.members...)
			time.Sleep(200 * time.Millisecond)
			c.network.setCut(leader.id, true)
			successor := c.leader(c.without(leader)...)
			began := time.Now()
			successor.write(t, put("probe", "x"))
			if took := time.Since(began); took > 1500*time.Millisecond {
				t.Errorf("first write after the election took %v", took)
			}
			c.network.setCut(leader.id, false)
			c.leader(c.members...)
		}
		close(stopWriting)
		writing.Wait()
		if n := conflicts.Load(); n > 0 {
			t.Errorf("%d creations found what they had created themselves", n)
		}
		sameState(t, c.members...)
		total := 0
		view := c.members[0].Store().View()
		for _, names := range acknowledged {
			total += len(names)
			for _, name := range names {
				if value(view, name) != name {
					t.Errorf("acknowledged write %s is lost", name)
				}
			}
		}
		if total < 100 {
			t.Errorf("only %d writes went through", total)
		}
	})
}

// TestReadsAreLinearizable has one register counted up by one writer while
// readers on all members see to it that it never goes back, and that a read
// begun after a write shows it, across changes of leaders.
func TestReadsAreLinearizable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		ctx, cancel := context.WithCancel(t.Context())
		var written, shown atomic.Int64
		var going sync.WaitGroup
		going.Go(func() {
			for n := int64(1); ctx.Err() == nil; n++ {
				if _, err := c.members[n%3].Apply(ctx, put("x", fmt.Sprint(n))); err != nil {
					return
				}
				written.Store(n)
				time.Sleep(time.Millisecond)
			}
		})
		var reads atomic.Int64
		for _, m := range c.members {
			for range 3 {
				going.Go(func() {
					for ctx.Err() == nil {
						least := max(written.Load(), shown.Load())
						view, err := m.Read(ctx)
						if err != nil {
							return
						}
						got, _ := strconv.ParseInt(value(view, "x"), 10, 64)
						if got < least {
							t.Errorf("%s shows %d after %d", m.id, got, least)
							cancel()
							return
						}
						for was := shown.Load(); got > was && !shown.CompareAndSwap(was, got); was = shown.Load() {
						}
						reads.Add(1)
						time.Sleep(time.Millisecond)
					}
				})
			}
		}
		for range 4 {
			leader := c.leader(c.members...)
			time.Sleep(300 * time.Millisecond)
			c.network.setCut(leader.id, true)
			c.leader(c.without(leader)...)
			time.Sleep(300 * time.Millisecond)
			c.network.setCut(leader.id, false)
		}
		cancel()
		going.Wait()
		if reads.Load() < 100 || written.Load() < 20 {
			t.Errorf("only %d reads and %d writes", reads.Load(), written.Load())
		}
	})
}

func TestMinorityNeitherWritesNorReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		leader := c.leader(c.members...)
		c.network.setCut(leader.id, true)
		synctest.Wait() // answers that were on their way arrive
		// It takes itself for the leader still, and must not answer for that.
		if !leader.IsLeader() {
			t.Fatal("the leader gave up before its lease")
		}
		soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := leader.Read(soon); err == nil {
			t.Error("a leader that is cut off answered a read")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := leader.Apply(ctx, put("x", "lost")); !errors.Is(err, replica.ErrNoLeader) {
			t.Errorf("write in a minority: %v", err)
		}
		if _, err := leader.Read(ctx); !errors.Is(err, replica.ErrNoLeader) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read in a minority: %v", err)
		}
		c.network.setCut(leader.id, false)
		sameState(t, c.members...)
	})
}

func TestShutdownHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		leader := c.leader(c.members...)
		rest := c.without(leader)
		leader.stop()
		began := time.Now()
		rest[0].write(t, put("x", "1"))
		// Without a handover the others would first miss the leader.
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("a write while the leader left took %v", took)
		}
		c.stop()
	})
}

func TestMembersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.start(3, false)
		joiner := c.members[3]
		leader := c.leader(c.members[:3]...)
		follower := c.without(leader)[0]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		leader.write(t, put("x", "1"))
		if err := follower.AddVoter(ctx, joiner.id, joiner.id); err != nil {
			t.Fatal(err)
		}
		if got := joiner.read(t, "x"); got != "1" {
			t.Fatalf("joiner reads %q", got)
		}
		if err := follower.AddVoter(ctx, "m9", "nowhere"); err == nil {
			t.Error("a member that nobody can reach was added")
		}
		if err := joiner.RemoveServer(ctx, leader.id); err != nil {
			t.Fatal(err)
		}
		if err := <-leader.done; !errors.Is(err, replica.ErrRemoved) {
			t.Errorf("a removed member ended with %v", err)
		}
		leader.done <- nil
		c.leader(c.without(leader)...)
		joiner.write(t, put("x", "2"))
		sameState(t, c.without(leader)...)
		if n := len(joiner.Members()); n != 3 {
			t.Errorf("%d members after one came and one went", n)
		}
		// With an empty disk it comes again, under its old name.
		c.start(slices.Index(c.members, leader), false)
		again := c.members[len(c.members)-1]
		if err := joiner.AddVoter(ctx, leader.id, leader.id); err != nil {
			t.Fatal(err)
		}
		if got := again.read(t, "x"); got != "2" {
			t.Errorf("one that came again reads %q", got)
		}
		time.Sleep(10 * time.Second)
		sameState(t, c.without(leader)...)
		c.stop()
	})
}

func TestMalformedTransactionIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		defer c.stop()
		if _, err := c.members[0].Apply(t.Context(), put("", "x")); !errors.Is(err, replica.ErrInvalid) {
			t.Errorf("a key without a name: %v", err)
		}
		if _, err := c.members[0].Apply(t.Context(), put("x", string(make([]byte, 17<<20)))); !errors.Is(err, replica.ErrInvalid) {
			t.Errorf("17 MiB: %v", err)
		}
	})
}

// TestSnapshotIsInstalled has a member miss more of the log than the others
// keep.
func TestSnapshotIsInstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := &cluster{t: t, network: n}
		for i := range 3 {
			id := fmt.Sprintf("m%d", i+1)
			c.members = append(c.members, run(t, replica.Config{
				ID: id, ClusterID: "c", InMemory: true, Bootstrap: i == 0, Listener: n.listen(id), Dial: n.dialer(id),
				Timing: replica.Timing{SnapshotInterval: 100 * time.Millisecond, SnapshotThreshold: 16, TrailingLogs: 4},
			}))
		}
		c.join()
		defer c.stop()
		leader := c.leader(c.members...)
		behind := c.without(leader)[0]
		n.setCut(behind.id, true)
		for i := range 100 {
			leader.write(t, put(fmt.Sprint(i), "v"))
		}
		time.Sleep(time.Second)
		n.setCut(behind.id, false)
		sameState(t, c.members...)
		tx := put("again", "1")
		tx.Id = []byte("before-the-snapshot")
		first := leader.write(t, tx)
		if again := behind.write(t, tx); again.Revision != first.Revision {
			t.Errorf("a retry on the restored member gave %v, first %v", again, first)
		}
	})
}
