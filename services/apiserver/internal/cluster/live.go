package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/internal/gossip"
)

// How long a server must have been silent before it counts as gone: gossip
// suspects too much on a busy machine, and a pool that has just begun knows
// nobody yet.
const (
	failedFor  = 2 * time.Second
	unknownFor = 10 * time.Second
)

// absences are the servers that gossip does not find, since when.
type absences struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// LiveRESTAddresses are the Kubernetes addresses, host:port, of this server and
// of those others that answer, by what gossip says. It does not block, and is to
// be called again and again: a silent server goes only some time after it was
// found silent first.
func (s *Service) LiveRESTAddresses() []string {
	states := map[string]gossip.State{}
	if s.pool != nil {
		members, _ := s.pool.Members()
		for _, m := range members {
			if m.Role == gossip.Server {
				states[m.Name] = m.State
			}
		}
	}
	out := []string{s.config.Addresses.REST}
	for name, a := range s.servers(s.config.Replica.Store().View()) {
		if name == s.config.Name || a.REST == "" {
			continue
		}
		state, known := states[name]
		if s.pool == nil || !s.absent.gone(name, known && state == gossip.Alive, known, time.Now()) {
			out = append(out, a.REST)
		}
	}
	slices.Sort(out[1:])
	return out
}

func (a *absences) gone(name string, alive, known bool, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if alive {
		delete(a.since, name)
		return false
	}
	since, ok := a.since[name]
	if !ok {
		if a.since == nil {
			a.since = map[string]time.Time{}
		}
		a.since[name], since = now, now
	}
	patience := unknownFor
	if known {
		patience = failedFor
	}
	return now.Sub(since) >= patience
}
