package replica_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// patient are members that wait so long for a silent leader that one which is
// elected sooner was not waited for.
var patient = replica.Timing{Heartbeat: 10 * time.Second, Election: 10 * time.Second, Lease: 5 * time.Second}

// bereft has a cluster lose its leader, and returns its heirs in their order.
func bereft(t *testing.T, size int, lose func(c *cluster, leader *member, heirs []*member)) (c *cluster, term uint64, heirs []*member) {
	t.Helper()
	c = newClusterWith(t, size, patient)
	leader := c.leader(c.members...)
	// Raft (1.8.0) gives no vote to a member whose promotion it has not heard of.
	for slices.ContainsFunc(c.members, func(m *member) bool { return voters(m) < size }) {
		time.Sleep(10 * time.Millisecond)
	}
	heirs = c.without(leader)
	slices.SortFunc(heirs, func(a, b *member) int { return strings.Compare(a.id, b.id) })
	term = leader.Term()
	lose(c, leader, heirs)
	return c, term, heirs
}

// voters counts those that a member knows of.
func voters(m *member) (n int) {
	for _, other := range m.Members() {
		if other.Voter {
			n++
		}
	}
	return n
}

// crash ends a member for the others, as kill -9 does.
func (c *cluster) crash(m *member) {
	for _, other := range c.without(m) {
		c.network.refuse(m.id, other.id)
	}
}

// elects checks who leads next, in which term, and that it comes by a time.
func (c *cluster) elects(among []*member, next *member, term uint64, within time.Duration) {
	c.t.Helper()
	begun := time.Now()
	got := c.leader(among...)
	if took := time.Since(begun); got != next || got.Term() != term || took > within {
		c.t.Errorf("%s leads in term %d after %v, want %s in term %d within %v", got.id, got.Term(), took, next.id, term, within)
	}
	got.write(c.t, put("after", "it"))
}

// waits checks that nobody stands for election before the heartbeats are missed,
// and somebody after.
func (c *cluster) waits(among []*member, term uint64) {
	c.t.Helper()
	time.Sleep(patient.Heartbeat * 8 / 10) // the last one was up to a tenth of it ago
	for _, m := range among {
		if m.Term() != term {
			c.t.Errorf("%s is in term %d, want %d", m.id, m.Term(), term)
		}
	}
	c.leader(among...)
}

func TestAKilledLeaderIsSucceededAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, term, heirs := bereft(t, 3, func(c *cluster, leader *member, _ []*member) { c.crash(leader) })
		c.elects(heirs, heirs[0], term+1, time.Second)
		time.Sleep(time.Minute)
		c.elects(heirs, heirs[0], term+1, 0)
		c.stop()
	})
}

func TestTheNextHeirStandsWhenTheFirstIsDeadToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, term, heirs := bereft(t, 5, func(c *cluster, leader *member, heirs []*member) {
			c.crash(heirs[0])
			c.crash(leader)
		})
		c.elects(heirs[1:], heirs[1], term+1, patient.Heartbeat/2)
		c.stop()
	})
}

// Who lacks what the others have gets no vote, and costs a term.
func TestTheNextHeirStandsWhenTheFirstIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, term, heirs := bereft(t, 3, func(c *cluster, leader *member, heirs []*member) {
			c.network.setCut(heirs[0].id, true)
			leader.write(t, put("unseen", "by the first"))
			time.Sleep(time.Second)
			c.crash(leader)
			c.network.setCut(heirs[0].id, false)
			heirs[0].MissLeader()
		})
		c.elects(heirs, heirs[1], term+2, patient.Heartbeat/2)
		c.stop()
	})
}

// An heir that does not answer may be standing. If two stood, nobody would win.
func TestTheNextHeirWaitsForTheFirstThatIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, term, heirs := bereft(t, 5, func(c *cluster, leader *member, heirs []*member) {
			c.network.setCut(heirs[0].id, true)
			c.crash(leader)
		})
		c.waits(heirs[1:], term)
		c.stop()
	})
}

func TestALeaderThatIsCutOffIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, term, heirs := bereft(t, 3, func(c *cluster, leader *member, _ []*member) { c.network.setCut(leader.id, true) })
		c.waits(heirs, term)
		c.stop()
	})
}

func TestAnOrderlySuccessionIsTheOnlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, term, heirs := bereft(t, 3, func(c *cluster, leader *member, heirs []*member) {
			c.members = heirs
			if err := leader.halt(); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Minute)
		c.elects(heirs, c.leader(heirs...), term+1, 0)
		c.stop()
	})
}

// A firewall that refuses looks to one member like a dead leader: it takes over
// once, and does not quarrel with it from then on.
func TestARefusingFirewallCostsOneElection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, term, heirs := bereft(t, 3, func(c *cluster, leader *member, heirs []*member) { c.network.refuse(leader.id, heirs[0].id) })
		c.elects(heirs, heirs[0], term+1, time.Second)
		time.Sleep(10 * time.Minute)
		c.elects(heirs, heirs[0], term+1, 0)
		c.stop()
	})
}

// What a member has kept of connections to one that was started again since must
// not cost it the other's vote.
func TestAConnectionThatEndedCostsNoVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClusterWith(t, 3, patient)
		first, voter, leader := c.members[0], c.members[1], c.members[2]
		if _, err := first.TransferLeadership(t.Context(), leader.id); err != nil {
			t.Fatal(err)
		}
		c.leader(c.members...)
		c.network.setCut(voter.id, true)
		c.network.setCut(voter.id, false)
		leader.write(t, put("seen", "by all"))
		time.Sleep(time.Second)
		term := leader.Term()
		c.crash(leader)
		c.elects([]*member{first, voter}, first, term+1, time.Second)
		c.stop()
	})
}
