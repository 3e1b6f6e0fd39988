package replica_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// votes tells how a member stands by what another one knows.
func votes(of *member, id string) (known, votes bool) {
	for _, m := range of.Members() {
		if m.ID == id {
			return true, m.Voter
		}
	}
	return false, false
}

// soon waits for a condition, and returns how long it took.
func soon(t testing.TB, within time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !holds() {
		if time.Since(began) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// Several servers that join a lone one at once all vote soon, and each was a
// member without a vote first.
func TestJoinersVoteOnceTheyHaveCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		defer c.stop()
		first := c.members[0]
		for i := range 200 {
			first.write(t, put(fmt.Sprint(i), "v"))
		}
		for i := range 4 {
			c.start(i+1, false)
		}
		began := time.Now()
		added := make(chan error)
		for _, m := range c.members[1:] {
			go func() { added <- first.AddVoter(t.Context(), m.id, m.id) }()
		}
		soon(t, time.Second, "a member without a vote", func() bool {
			known, voting := votes(first, "m5")
			return known && !voting
		})
		for range 4 {
			if err := <-added; err != nil {
				t.Error(err)
			}
		}
		took := time.Since(began)
		t.Logf("four joined in %v", took)
		if took < 100*time.Millisecond || took > 400*time.Millisecond {
			t.Errorf("four joined in %v", took)
		}
		for _, m := range c.members[1:] {
			if _, voting := votes(first, m.id); !voting {
				t.Errorf("%s does not vote", m.id)
			}
		}
		sameState(t, c.members...)
	})
}

// A joiner that fails while it joins must not cost a lone server its majority.
func TestJoinerThatFailsGetsNoVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		defer c.stop()
		first := c.members[0]
		c.start(1, false)
		joiner := c.members[1]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		added := make(chan error)
		go func() { added <- first.AddVoter(ctx, joiner.id, joiner.id) }()
		soon(t, time.Second, "a member", func() bool { known, _ := votes(first, joiner.id); return known })
		c.network.setCut(joiner.id, true)
		time.Sleep(20 * time.Second)
		if _, voting := votes(first, joiner.id); voting {
			t.Error("a member that does not answer votes")
		}
		first.write(t, put("x", "1"))
		// Not before it votes does it say that it is ready.
		c.network.setCut(joiner.id, false)
		if got := joiner.read(t, "x"); got != "1" {
			t.Errorf("it reads %q", got)
		}
		if _, voting := votes(first, joiner.id); !voting {
			t.Error("it is ready and does not vote")
		}
		if err := <-added; err != nil {
			t.Error(err)
		}
	})
}

// addNonvoter starts a further member that never votes.
func (c *cluster) addNonvoter(ctx context.Context) *member {
	c.t.Helper()
	id := fmt.Sprintf("m%d", len(c.members)+1)
	m := run(c.t, replica.Config{
		ID: id, ClusterID: "c", InMemory: true, NonVoter: true, Listener: c.network.listen(id), Dial: c.network.dialer(id),
	})
	c.members = append(c.members, m)
	if err := c.members[0].AddNonvoter(ctx, id, id); err != nil {
		c.t.Fatal(err)
	}
	return m
}

func TestNonvoterServesAndNeverVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		reader := c.addNonvoter(ctx)
		reader.write(t, put("x", "1"))
		if got := reader.read(t, "x"); got != "1" {
			t.Errorf("it reads %q", got)
		}
		// A new leader does not promote it, and it follows that one.
		leader := c.leader(c.members...)
		c.network.setCut(leader.id, true)
		next := c.leader(c.without(leader)...)
		reader.write(t, put("x", "2"))
		time.Sleep(30 * time.Second)
		if _, voting := votes(next, reader.id); voting {
			t.Error("it votes")
		}
		if err := next.AddVoter(ctx, reader.id, reader.id); err == nil {
			t.Error("it was given a vote")
		}
		// With two of three gone it does not make a majority.
		c.network.setCut(next.id, true)
		short, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		if _, err := reader.Apply(short, put("x", "3")); !errors.Is(err, replica.ErrNoLeader) {
			t.Errorf("a write without a majority: %v", err)
		}
		c.network.setCut(next.id, false)
		c.network.setCut(leader.id, false)
		sameState(t, c.members...)
	})
}

func TestTransferLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		reader := c.addNonvoter(ctx)
		for _, to := range c.members[:3] {
			if now, err := reader.TransferLeadership(ctx, to.id); err != nil || now != to.id {
				t.Errorf("to %s: %s, %v", to.id, now, err)
			}
			if !c.leader(c.members...).IsLeader() || !to.IsLeader() {
				t.Errorf("%s does not lead", to.id)
			}
			reader.write(t, put("x", to.id))
		}
		if now, err := reader.TransferLeadership(ctx, ""); err != nil || now == "m3" {
			t.Errorf("to anybody: %q, %v", now, err)
		}
		leader := c.leader(c.members...)
		dead := c.without(leader)[0]
		c.network.setCut(dead.id, true)
		for id, want := range map[string]string{reader.id: "does not vote", "m9": "is no member", dead.id: "does not answer"} {
			if _, err := leader.TransferLeadership(ctx, id); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("to %s: %v", id, err)
			}
		}
		leader.write(t, put("x", "again"))
		c.network.setCut(dead.id, false)
	})
}

func TestStandings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		reader := c.addNonvoter(t.Context())
		leader := c.leader(c.members...)
		gone := c.without(leader)[0]
		c.network.setCut(gone.id, true)
		for range 100 {
			leader.write(t, put("x", "1"))
		}
		time.Sleep(10 * time.Second)
		for _, asked := range []*member{leader, reader} {
			for _, s := range asked.Standings(t.Context()) {
				contact := s.GetLastContact().AsDuration()
				switch s.GetId() {
				case leader.id:
					if !s.GetLeader() || s.GetState() != clusterv1.MemberState_MEMBER_STATE_HEALTHY || s.LastContact != nil || s.GetLag() != 0 {
						t.Errorf("the leader is %v", s)
					}
				case gone.id:
					if s.GetState() != clusterv1.MemberState_MEMBER_STATE_UNREACHABLE || contact < 10*time.Second || contact > 15*time.Second || s.Lag != nil {
						t.Errorf("one that is cut off is %v", s)
					}
				default:
					if s.GetState() != clusterv1.MemberState_MEMBER_STATE_HEALTHY || s.LastContact == nil || contact > 250*time.Millisecond || s.Lag == nil || s.GetVoter() != (s.GetId() != reader.id) {
						t.Errorf("one that follows is %v", s)
					}
				}
			}
		}
		for _, s := range gone.Standings(t.Context()) { // it reaches nobody
			want := clusterv1.MemberState_MEMBER_STATE_UNREACHABLE
			if s.GetId() == gone.id {
				want = clusterv1.MemberState_MEMBER_STATE_LEADERLESS
			}
			if s.GetState() != want {
				t.Errorf("one that is cut off says %v", s)
			}
		}
		c.network.setCut(gone.id, false)
	})
}

// A leader that stops while another member is dead hands over to one that is not.
func TestShutdownHandsOverToOneThatAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 5)
		defer c.stop()
		leader := c.leader(c.members...)
		rest := c.without(leader)
		c.network.setCut(rest[0].id, true)
		time.Sleep(5 * time.Second)
		leader.stop()
		began := time.Now()
		rest[2].write(t, put("x", "1"))
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("a write while the leader left took %v", took)
		}
		c.network.setCut(rest[0].id, false)
	})
}

// Two of three voters elect one of them, also if one has not heard yet that the
// other votes.
func TestVoteForAMemberThatVotesSinceLately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		leader := c.leader(c.members...)
		rest := c.without(leader)
		away, replaced := rest[0], rest[1]
		defer func() {
			for _, m := range c.members {
				if err := m.halt(); err != nil && m != replaced {
					t.Errorf("member %s: %v", m.id, err)
				}
			}
		}()
		c.network.setCut(away.id, true)
		c.start(3, false)
		newcomer := c.members[3]
		if err := leader.AddVoter(ctx, newcomer.id, newcomer.id); err != nil {
			t.Fatal(err)
		}
		if err := leader.RemoveServer(ctx, replaced.id); err != nil {
			t.Fatal(err)
		}
		newcomer.write(t, put("x", "1"))
		c.network.setCut(replaced.id, true)
		c.network.setCut(leader.id, true)
		c.network.setCut(away.id, false)
		if next := c.leader(away, newcomer); next != newcomer {
			t.Errorf("%s leads, which lacks what was acknowledged", next.id)
		}
		away.write(t, put("x", "2"))
	})
}
