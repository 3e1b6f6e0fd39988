package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// fault is one entry of a schedule. Which member it meets is drawn as a number,
// since who leads then is not known before.
type fault struct {
	kind   string
	begin  time.Duration // after the start
	length time.Duration
	leader bool // meet the one that leads
	pick   int  // meet another one
	other  int
}

// String tells the fault.
func (f fault) String() string {
	who := fmt.Sprintf("member %d", f.pick)
	if f.leader {
		who = "the leader"
	}
	return fmt.Sprintf("%.1fs: %s %s for %v", f.begin.Seconds(), f.kind, who, f.length.Round(time.Millisecond))
}

// plan draws a schedule that fits into a time.
func plan(r *rand.Rand, within time.Duration, allowed func(kind string) bool) []fault {
	var bag []string
	for kind, k := range faultKinds {
		if allowed(kind) {
			bag = append(bag, slices.Repeat([]string{kind}, k.weight)...)
		}
	}
	slices.Sort(bag) // a map has no order, and the seed shall decide
	var faults []fault
	for at := between(r, 200*time.Millisecond, 2*time.Second); at < within; at += between(r, 300*time.Millisecond, 5*time.Second) {
		f := fault{kind: bag[r.IntN(len(bag))], begin: at, leader: r.IntN(2) == 0, pick: r.IntN(16), other: r.IntN(16)}
		f.length = between(r, 100*time.Millisecond, 6*time.Second)
		faults = append(faults, f)
	}
	return faults
}

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}
