// Package heap keeps a process's memory close to what it needs.
//
// Go's collector lets a heap grow to twice of what is live before it collects,
// and what was in use once is given back to the kernel only in part. A store
// pays for that with its own size again and gains little: the values that it
// holds are most of it and have no pointers, so they cost nothing to mark.
package heap

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// room is how much a heap may grow beyond what is live before it is collected,
	// in bytes, or roomPercent of what is live where that is more. A smaller heap
	// may double, as Go has it.
	room        = 48 << 20
	roomPercent = 25
	// roomLeast is what even the smallest may grow by, as far as mostPercent goes:
	// a collection looks at stacks and globals however little the heap holds.
	roomLeast   = 24 << 20
	mostPercent = 400
	// share of all processors' time that collections may take before the heap gets
	// more room, up to its own size again or roomBusy.
	share    = 0.005
	roomBusy = 128 << 20

	// interval is how often the heap is looked at.
	interval = time.Second
	// spare is what must be unused before it is worth to be given back, in bytes
	// and as a share of what is live.
	spare, spareShare = 8 << 20, 16
	// idle is for how long that must be more than what is allocated, at the pace of
	// the last interval.
	idle = 10 * time.Second
	// restFactor is how many times longer than it takes to give memory back the
	// time until the next time is at least.
	restFactor = 200
)

// percent returns what GOGC should be for a heap, in percent of what is live:
// pace is how much is allocated in a second, cost what one collection takes in
// seconds of one processor.
func percent(live uint64, pace, cost float64, processors int) int {
	size := float64(max(live, 1))
	atRest := max(room, size*roomPercent/100)
	if live < room {
		atRest = max(size, roomLeast)
	}
	busy := min(cost*pace/(share*float64(processors)), max(size, roomBusy))
	return int(min(100*max(atRest, busy)/size, mostPercent))
}

// excess tells whether a heap holds more than it needs: more unused memory than
// it will take within idle at the pace of the last interval.
func excess(before, now sample) bool {
	unused := now.unused()
	if unused < max(spare, now.live/spareShare) {
		return false
	}
	return now.pace(before)*idle.Seconds() < float64(unused)
}

// During keeps the process's heap small while run runs: it is collected more
// often than Go does as long as that takes little of the processors, and while
// little is allocated what is unused is given back to the kernel. Where the
// environment sets GOGC, that is left as it is. It is for main functions: what it
// sets is the process's.
func During(ctx context.Context, run func(context.Context) error) error {
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		keep(keeping)
	}()
	defer func() {
		stop()
		<-ended
	}()
	return run(ctx)
}

func keep(ctx context.Context) {
	k := keeper{tuned: os.Getenv("GOGC") == "", percent: mostPercent, before: read()}
	if k.tuned {
		defer debug.SetGCPercent(debug.SetGCPercent(k.percent))
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.look(read())
		case <-ctx.Done():
			return
		}
	}
}

// keeper is what keep knows from one look to the next.
type keeper struct {
	tuned   bool // whether GOGC is ours
	percent int
	cost    float64 // of a collection, in seconds of one processor
	before  sample
	rest    time.Time // before which nothing is given back again
}

func (k *keeper) look(now sample) {
	if n := now.collections - k.before.collections; n > 0 {
		k.cost = (now.collecting - k.before.collecting) / float64(n)
	}
	p := percent(now.live, now.pace(k.before), k.cost, runtime.GOMAXPROCS(0))
	if k.tuned && differs(p, k.percent) {
		k.percent = p
		debug.SetGCPercent(p) // stops the world for a moment
	}
	if now.at.After(k.rest) && excess(k.before, now) {
		runtime.GC() // what a sync.Pool keeps goes with the second collection
		debug.FreeOSMemory()
		took := time.Since(now.at)
		k.rest = now.at.Add(max(idle, restFactor*took))
	}
	k.before = now
}

// differs tells whether it is worth to go from one percentage to another.
func differs(a, b int) bool { return 10*a < 9*b || 10*b < 9*a }
