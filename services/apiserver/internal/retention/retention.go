// Package retention bounds by time what a member remembers of the past. The state
// bounds it by number and bytes, so on a quiet cluster it would remember for ever: it
// would hold memory for nothing, and clients would never meet the "too old" that they
// must be ready for.
package retention

import (
	"context"
	"time"
)

const (
	// Kept is how long a change is remembered at least, unless too many follow it: what
	// Kubernetes keeps.
	Kept = 5 * time.Minute
	// interval is how often it is looked, and so how much longer a change may be
	// remembered.
	interval = time.Minute
)

// Store is a member's state, as far as it is needed here.
type Store interface {
	// Revision is that of the last change.
	Revision() uint64
	// Forget drops what is remembered of changes up to a revision.
	Forget(revision uint64)
}

// Run has the store forget changes that are older than Kept, until ctx ends.
func Run(ctx context.Context, store Store) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	seen := make([]uint64, 0, Kept/interval+1) // the revisions at the last looks
	for {
		seen = append(seen, store.Revision())
		if len(seen) == cap(seen) {
			store.Forget(seen[0])
			seen = append(seen[:0], seen[1:]...)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
