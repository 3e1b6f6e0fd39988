package replicaset

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// doubtAfter is how long a pod may stay unseen before its set asks the server.
const doubtAfter = 5 * time.Second

// pending remembers, per set, what was asked of the server and the cache does
// not show yet: without it a round that runs ahead of the cache would create or
// delete twice. Names are chosen before the request is sent, so a request
// whose outcome is unknown is remembered as well.
type pending struct {
	mu   sync.Mutex
	sets map[types.UID]*asked
}

type asked struct {
	created map[string]time.Time    // by pod name
	deleted map[types.UID]time.Time // by pod UID
}

func newPending() *pending { return &pending{sets: map[types.UID]*asked{}} }

func (p *pending) of(set types.UID) *asked {
	a := p.sets[set]
	if a == nil {
		a = &asked{created: map[string]time.Time{}, deleted: map[types.UID]time.Time{}}
		p.sets[set] = a
	}
	return a
}

// creating notes pods that are about to be created.
func (p *pending) creating(set types.UID, names []string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		p.of(set).created[name] = now
	}
}

// forget drops pods that the cache shows, or that were not created after all.
func (p *pending) forget(set types.UID, names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.sets[set]; a != nil {
		for _, name := range names {
			delete(a.created, name)
		}
	}
}

// coming returns the names of pods not seen yet.
func (p *pending) coming(set types.UID) map[string]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := map[string]time.Time{}
	if a := p.sets[set]; a != nil {
		for name, at := range a.created {
			names[name] = at
		}
	}
	return names
}

// deleting notes pods whose deletion is about to be asked for.
func (p *pending) deleting(set types.UID, pods []types.UID, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range pods {
		p.of(set).deleted[uid] = now
	}
}

// stays takes back deleting for pods the server refused to delete.
func (p *pending) stays(set types.UID, pods []types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.sets[set]; a != nil {
		for _, uid := range pods {
			delete(a.deleted, uid)
		}
	}
}

// going returns the pods whose deletion the cache does not show yet, forgetting
// those for which keep is false and those asked for too long ago.
func (p *pending) going(set types.UID, keep func(types.UID) bool, now time.Time) map[types.UID]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[types.UID]bool{}
	a := p.sets[set]
	if a == nil {
		return out
	}
	for uid, at := range a.deleted {
		if !keep(uid) || now.Sub(at) > doubtAfter {
			delete(a.deleted, uid)
			continue
		}
		out[uid] = true
	}
	return out
}

// waiting says whether anything asked for has not been seen.
func (p *pending) waiting(set types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.sets[set]
	return a != nil && len(a.created)+len(a.deleted) > 0
}

// drop forgets a set that is gone.
func (p *pending) drop(set types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sets, set)
}
