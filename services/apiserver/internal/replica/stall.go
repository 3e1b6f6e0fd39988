package replica

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// stallMost is how long a write to a leader's log may take before others are to lead.
const stallMost = time.Second

// errStalled says that a leader's disk hangs.
var errStalled = errors.New("the disk of the log hangs")

// stall knows for how long a write to the log has been under way.
//
// A disk may hang for minutes without an error, as one on a network does. A leader's
// heartbeats need no disk: they would keep the others from electing one who can write,
// and nobody could write for as long. So such a leader sends nothing any more; the
// others take over as from one that is lost, and have all that was acknowledged.
type stall struct {
	born  time.Time
	since atomic.Int64 // when the write began, in nanoseconds after born; 0 is none
}

func newStall() *stall { return &stall{born: time.Now()} }

// begin notes that a write begins; the caller calls what it returns when it has ended.
func (s *stall) begin() (end func()) {
	s.since.Store(max(1, int64(time.Since(s.born))))
	return func() { s.since.Store(0) }
}

// err says that a write takes too long, if one does.
func (s *stall) err() error {
	since := time.Duration(s.since.Load())
	if since == 0 {
		return nil
	}
	if took := time.Since(s.born) - since; took > stallMost {
		return fmt.Errorf("%w: a write to it takes %v so far", errStalled, took.Round(time.Millisecond))
	}
	return nil
}
