package replica

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/failpoint"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

const (
	// lagMax is how many log entries a member may lack and count as one that has
	// caught up: more than are under way under load.
	lagMax = 64
	// stableFor is how long a new member must have kept up before it votes.
	stableFor = 100 * time.Millisecond
	// probePause lies between two looks at a new member that is to vote, idlePause
	// between two at one that does not answer or does not want to.
	probePause = 20 * time.Millisecond
	idlePause  = time.Second
)

// caretaker is what a leader does unasked: it gives new members their vote when
// they have caught up, and has its own address right among the members.
type caretaker struct {
	replica *Replica
	wake    chan struct{}
	// steady are the members that are to vote and keep up.
	steady map[string]trial
}

// trial is what a new member has to do before it votes: to keep up for a while,
// and to hold all that was committed when that began. (A bound for the lag alone
// would let in one that has nothing yet of a short log.)
type trial struct {
	since time.Time
	index uint64
}

func newCaretaker(r *Replica) *caretaker {
	return &caretaker{replica: r, wake: make(chan struct{}, 1), steady: map[string]trial{}}
}

// look has it look at the members now.
func (c *caretaker) look() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *caretaker) run(ctx context.Context) error {
	for {
		changed := c.replica.leaders.change()
		var again <-chan time.Time
		if wait := c.round(ctx); wait > 0 {
			again = time.After(wait)
		}
		select {
		case <-c.wake:
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return nil
		}
	}
}

// round looks at the members once and returns when to look again; 0 is when
// something changes.
func (c *caretaker) round(ctx context.Context) time.Duration {
	r := c.replica
	if !r.leaders.ready() {
		clear(c.steady)
		return 0
	}
	r.correctAddress()
	candidates := r.nonvoters()
	if len(candidates) == 0 {
		clear(c.steady)
		return 0
	}
	ripe, again := c.judge(time.Now(), r.status(), r.ask(ctx, candidates))
	for _, id := range ripe {
		if err := r.promote(id); err != nil {
			r.config.Logger.Warn("promote member", "promoted", id, "error", err)
			return idlePause
		}
		r.config.Logger.Info("member has caught up and votes now", "promoted", id)
	}
	return again
}

// judge decides which members without a vote, by what they answered, are to have
// one, and when to ask again. A nil status is of one that did not answer.
func (c *caretaker) judge(now time.Time, leader *clusterv1.StatusResponse, found map[string]*clusterv1.StatusResponse) (ripe []string, again time.Duration) {
	again = idlePause
	for id, status := range found {
		if status == nil || status.GetNonVoter() || status.GetTerm() != leader.GetTerm() || status.GetLastIndex()+lagMax < leader.GetLastIndex() {
			delete(c.steady, id)
			if status != nil && !status.GetNonVoter() {
				again = probePause
			}
			continue
		}
		t, ok := c.steady[id]
		if !ok {
			t = trial{since: now, index: leader.GetCommitIndex()}
			c.steady[id] = t
		}
		if now.Sub(t.since) < stableFor || status.GetCommitIndex() < t.index {
			again = probePause
			continue
		}
		delete(c.steady, id)
		ripe = append(ripe, id)
	}
	return ripe, again
}

// promote gives a member its vote, unless it was removed meanwhile.
func (r *Replica) promote(id string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	m, ok := r.member(id)
	if !ok || m.Voter {
		return nil
	}
	failpoint.Hit("replica/members/promote")
	err := r.membership(r.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(m.Address), 0, enqueueTimeout))
	failpoint.Hit("replica/members/promoted")
	return err
}

// correctAddress is for a leader that was started with another address than it
// had: nobody else will say so.
func (r *Replica) correctAddress() {
	r.changing.Lock()
	defer r.changing.Unlock()
	m, ok := r.member(r.config.ID)
	if !ok || m.Address == r.config.Advertise {
		return
	}
	if err := r.membership(r.raft.AddVoter(raft.ServerID(m.ID), raft.ServerAddress(r.config.Advertise), 0, enqueueTimeout)); err != nil {
		r.config.Logger.Warn("change own address", "from", m.Address, "to", r.config.Advertise, "error", err)
	}
}

// elevated waits until a member votes.
func (r *Replica) elevated(ctx context.Context, id string) error {
	for {
		changed := r.regrouped.change()
		m, ok := r.member(id)
		switch {
		case ok && m.Voter:
			return nil
		case !ok, !r.IsLeader():
			return errNotLeader // whoever leads now is to be asked again
		}
		timer := time.NewTimer(idlePause) // what a snapshot tells of members is not announced
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		timer.Stop()
	}
}

// enfranchised waits, on a member that is to vote, until it does so for the
// first time: a server that joins is ready when the cluster can count on it.
func (r *Replica) enfranchised(ctx context.Context) error {
	for !r.config.NonVoter && !r.voted.Load() {
		changed := r.regrouped.change()
		if m, ok := r.member(r.config.ID); ok && m.Voter {
			r.voted.Store(true)
			return nil
		}
		select {
		case <-changed:
		case <-time.After(probePause):
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.reads.stopped:
			return ErrStopped
		}
	}
	return nil
}
