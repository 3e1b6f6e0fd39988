package replica

import "github.com/musterhq/muster/services/apiserver/internal/state"

// ReadNow returns what Read would, where that waits for nobody: on the only voter,
// while it leads and has applied all that is committed. Elsewhere it returns false.
func (r *Replica) ReadNow() (state.View, bool) {
	if !r.config.NonVoter && !r.voted.Load() || !r.leaders.ready() || r.transport.sends() {
		return state.View{}, false // most often others vote, which costs nothing to find out
	}
	term := r.raft.CurrentTerm()
	committed := r.raft.CommitIndex()
	// Nobody is elected without the vote of the only one, which its term tells.
	if voters := r.voters(); len(voters) != 1 || voters[0].ID != r.config.ID {
		return state.View{}, false
	}
	if !r.leaders.ready() || r.raft.CurrentTerm() != term || !r.machine.has(committed) {
		return state.View{}, false
	}
	return r.config.Store.View(), true
}

// has tells whether all entries up to an index are applied.
func (m *machine) has(index uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied >= index
}
