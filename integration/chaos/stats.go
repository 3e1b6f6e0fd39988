package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Stats are the figures of a run, or of several.
type Stats struct {
	// Operations made; of them Refused had no effect, and of Unknown ones
	// nobody knows.
	Operations, Refused, Unknown int
	// Events that watchers saw; how often they Resumed elsewhere, and had to
	// begin anew because they were told Expired.
	Events, Resumed, Expired int
	// Gap is the longest time without an acknowledged write.
	Gap time.Duration
	// Took is how long it all took, by the cluster's clock.
	Took time.Duration
	// Faults by kind.
	Faults map[string]int
}

// Add adds the figures of another run.
func (s *Stats) Add(o Stats) {
	s.Operations, s.Refused, s.Unknown = s.Operations+o.Operations, s.Refused+o.Refused, s.Unknown+o.Unknown
	s.Events, s.Resumed, s.Expired = s.Events+o.Events, s.Resumed+o.Resumed, s.Expired+o.Expired
	s.Gap, s.Took = max(s.Gap, o.Gap), s.Took+o.Took
	if s.Faults == nil {
		s.Faults = map[string]int{}
	}
	for kind, n := range o.Faults {
		s.Faults[kind] += n
	}
}

// String tells them in a line.
func (s Stats) String() string {
	return fmt.Sprintf("%d operations (%d refused, %d unknown), %d events (%d reconnects, %d expired), longest gap %v, faults: %s, took %v",
		s.Operations, s.Refused, s.Unknown, s.Events, s.Resumed, s.Expired, s.Gap.Round(time.Millisecond), tell(s.Faults), s.Took.Round(time.Second))
}

// Count is how many faults there were.
func (s Stats) Count() int {
	n := 0
	for _, one := range s.Faults {
		n += one
	}
	return n
}

// tell lists counts by name.
func tell(counts map[string]int) string {
	var parts []string
	for kind, n := range counts {
		parts = append(parts, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
