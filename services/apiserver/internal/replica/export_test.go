package replica

// Term is the one of elections.
func (r *Replica) Term() uint64 { return r.raft.CurrentTerm() }

// MissLeader has a member look whether its leader's process has ended.
func (r *Replica) MissLeader() { r.succession.look() }
