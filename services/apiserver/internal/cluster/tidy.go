package cluster

import (
	"context"
	"time"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

const (
	// tidyInterval is how often the leader looks for servers to remove.
	tidyInterval = 5 * time.Second
	// tidyTimeout bounds what it does about them.
	tidyTimeout = 10 * time.Second
)

// tidy has the leader remove dead servers whose place was taken, and forget where
// servers answered that are no members.
func (s *Service) tidy(ctx context.Context) error {
	ticker := time.NewTicker(tidyInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if !s.config.Replica.IsLeader() {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, tidyTimeout)
		s.removeReplaced(bounded)
		s.forgetStrangers(bounded)
		cancel()
	}
}

func (s *Service) removeReplaced(ctx context.Context) {
	dead, ok := replaced(s.config.Members(), s.config.Replica.Silent(), s.config.RemoveDeadAfter)
	if !ok {
		return
	}
	if err := s.takeOut(ctx, dead); err != nil {
		s.logger.Warn("remove dead server", "server", dead, "error", err)
		return
	}
	s.logger.Warn("a dead server was removed: another one has taken its place", "server", dead, "silent for more than", s.config.RemoveDeadAfter)
}

// replaced names a voter that is dead and not needed: the one that has been
// silent for the longest, if for long enough, while the number of voters is even.
//
// Of an odd number, removing one leaves the majority as large as it was, so the
// cluster would gain nothing and have one less to come back. Of an even number,
// as when a server has joined in a dead one's place, it makes the majority
// smaller by one. Those that answer must be a majority before and after; there
// is a leader, so they are before.
func replaced(members []RaftMember, silent map[string]time.Duration, after time.Duration) (id string, ok bool) {
	voters, alive := 0, 0
	for _, m := range members {
		if !m.Voter {
			continue
		}
		voters++
		silence, dead := silent[m.ID]
		switch {
		case !dead:
			alive++
		case silence >= after && (id == "" || silence > silent[id]):
			id = m.ID
		}
	}
	return id, id != "" && after > 0 && voters%2 == 0 && 2*alive > voters-1
}

// forgetStrangers removes what servers announced that are members no more, as
// after a recovery.
func (s *Service) forgetStrangers(ctx context.Context) {
	known := map[string]bool{s.config.Name: true}
	for _, m := range s.config.Members() {
		known[m.ID] = true
	}
	var operations []*storev1.Operation
	for entry := range s.config.Replica.Store().View().List(serversTable, "") {
		if !known[entry.Key.Name] {
			operations = append(operations, &storev1.Operation{
				Key: &storev1.Key{Resource: serversTable, Name: entry.Key.Name}, Action: storev1.Action_ACTION_DELETE,
			})
		}
	}
	if len(operations) == 0 {
		return
	}
	if _, err := s.config.Replica.Apply(ctx, &storev1.Transaction{Operations: operations}); err != nil {
		s.logger.Warn("forget the addresses of former servers", "error", err)
	}
}
