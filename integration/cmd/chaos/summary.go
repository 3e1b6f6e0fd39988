package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/integration/chaos"
)

// summary is what rounds that were judged, and had nothing wrong, came to.
type summary struct {
	first    uint64 // the seed of the first round
	ended    int    // rounds
	watchers int    // of all rounds
	total    chaos.Stats
	gap      int // the round with the longest gap
}

func (s *summary) add(r *chaos.Result) {
	s.ended++
	s.watchers += len(r.History.Watches)
	if r.Gap > s.total.Gap {
		s.gap = s.ended
	}
	s.total.Add(r.Stats)
}

// String is a table.
func (s summary) String() string {
	t := s.total
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("rounds", "%d in %v, seeds %d and on: an order was found for each", s.ended, t.Took.Round(time.Second), s.first)
	line("operations", "%d: %d done, %d refused, %d of unknown outcome", t.Operations, t.Operations-t.Refused-t.Unknown, t.Refused, t.Unknown)
	line("watchers", "%d saw %d events, each change once and in order; %d reconnects, %d told to list again", s.watchers, t.Events, t.Resumed, t.Expired)
	line("longest gap", "%v without an acknowledged write, in round %d", t.Gap.Round(time.Millisecond), s.gap)
	line("faults", "%d", t.Count())
	for _, kind := range slices.Sorted(maps.Keys(t.Faults)) {
		line("", "%5d %s", t.Faults[kind], kind)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
