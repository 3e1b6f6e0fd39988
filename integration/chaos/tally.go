package chaos

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/musterhq/muster/integration/linear"
)

// tally counts while a run goes on.
type tally struct {
	mu       sync.Mutex
	stats    Stats
	failures []string
	start    time.Time
	last     time.Time // when a write was acknowledged last
}

func newTally() tally {
	return tally{stats: Stats{Faults: map[string]int{}}, start: time.Now(), last: time.Now()}
}

func (t *tally) fail(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (t *tally) began(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Faults[kind]++
}

func (t *tally) count(r linear.Request, response linear.Response) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Operations++
	switch response.Outcome {
	case linear.Unknown:
		t.stats.Unknown++
	case linear.Refused:
		t.stats.Refused++
	}
	if len(r.Steps) > 0 && response.Outcome == linear.Done {
		t.stats.Gap = max(t.stats.Gap, time.Since(t.last))
		t.last = time.Now()
	}
}

func (t *tally) sum(watches []linear.Watch) Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Faults, s.Took = maps.Clone(s.Faults), time.Since(t.start)
	for _, w := range watches {
		for _, r := range w.Records {
			switch r.Kind {
			case linear.Added, linear.Modified, linear.Deleted:
				s.Events++
			case linear.Resume:
				s.Resumed++
			case linear.Expired:
				s.Expired++
			}
		}
	}
	return s
}
