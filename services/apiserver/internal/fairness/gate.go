// Package fairness keeps one caller from starving the others: requests take seats
// of their caller's class, and who finds none waits in a queue that is fair among
// the callers. What Kubernetes calls API priority and fairness (KEP-1040) does the
// same with more to configure.
package fairness

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ErrBusy is the answer to who found no seat: nothing was done, and he may come
// again in a second.
var ErrBusy = errors.New("too many requests, please try again later")

const (
	// retryAfter is when who found no seat may come again.
	retryAfter = 1 // seconds

	// queueLength is how many requests of a class wait at most. One that waits is a
	// goroutine and what was read of it: tens of kilobytes.
	queueLength = 2048
	// queueTime is how long: a quarter of what a request may take, as with Kubernetes.
	queueTime = 15 * time.Second
	// widestShare of a class's seats is what one request takes at most.
	widestShare = 4
)

// Limits of a class.
type Limits struct {
	// Seats is how much of the class may be under way at once, in seats. A get takes
	// one.
	Seats int
	// Queue is how many requests may wait.
	Queue int
	// Wait is how long they may.
	Wait time.Duration
}

// DefaultLimits are those of each class. Most requests wait for a disk and for
// other members and not for a processor, so there are many more seats than those;
// the more requests are under way, the more of them share a log entry.
func DefaultLimits() Limits {
	return Limits{Seats: 64 + 32*runtime.GOMAXPROCS(0), Queue: queueLength, Wait: queueTime}
}

// Gate hands out the seats of one apiserver, for both of its doors. All methods
// may be called from any goroutine.
type Gate struct {
	pools [classes]pool
}

// New returns a Gate whose classes have such limits each.
func New(l Limits) *Gate {
	g := &Gate{}
	for i := range g.pools {
		p := &g.pools[i]
		p.seats, p.wait, p.queue = int64(max(l.Seats, 1)), l.Wait, newQueue(l.Queue)
	}
	return g
}

// pool is the seats of a class. As long as nobody waits nothing of it is locked.
type pool struct {
	seats int64
	wait  time.Duration

	taken   atomic.Int64
	waiting atomic.Int64 // as many as the queue is long
	counts  counts

	mu    sync.Mutex
	queue *queue

	_ [64]byte // classes share no cache line
}

// Seat is what a request holds. The zero Seat holds nothing.
type Seat struct {
	pool  *pool
	flow  string
	width int64
	since time.Time
}

// Enter takes seats for a request of a class: as many as the width says, which is
// 1 for a get; callers of one class are told apart by the flow's name. It waits if
// there are none, and returns ErrBusy when that takes too long or too many wait, or
// the cause of ctx's end. The seat must be released.
func (g *Gate) Enter(ctx context.Context, c Class, flow string, width int) (Seat, error) {
	p := &g.pools[c]
	s := Seat{pool: p, flow: flow, width: p.clamp(width)}
	if p.waiting.Load() == 0 && p.take(s.width) {
		s.since = time.Now()
		return s, nil
	}
	if err := p.await(ctx, s); err != nil {
		return Seat{}, err
	}
	s.since = time.Now()
	return s, nil
}

// TryEnter is Enter for who would not wait.
func (g *Gate) TryEnter(c Class, flow string, width int) (Seat, bool) {
	p := &g.pools[c]
	s := Seat{pool: p, flow: flow, width: p.clamp(width)}
	if p.waiting.Load() > 0 || !p.take(s.width) {
		return Seat{}, false
	}
	s.since = time.Now()
	return s, true
}

// Release gives the seats back. A second call does nothing.
func (s *Seat) Release() {
	p := s.pool
	if p == nil {
		return
	}
	s.pool = nil
	p.taken.Add(-s.width)
	if p.waiting.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.charge(s.flow, s.width, time.Since(s.since).Seconds())
	p.admit()
}

func (p *pool) clamp(width int) int64 {
	return min(max(int64(width), 1), max(p.seats/widestShare, 1))
}

// take takes seats if there are so many.
func (p *pool) take(width int64) bool {
	for {
		taken := p.taken.Load()
		if taken+width > p.seats {
			return false
		}
		if p.taken.CompareAndSwap(taken, taken+width) {
			p.counts.admitted.Add(1)
			return true
		}
	}
}

// await waits for seats in the queue. Who joins it looks for free seats himself
// afterwards, so none is given back unseen.
func (p *pool) await(ctx context.Context, s Seat) error {
	w := &waiter{width: s.width, ready: make(chan bool, 1)}
	p.mu.Lock()
	p.counts.queued.Add(1)
	out := p.queue.push(s.flow, w)
	p.waiting.Store(int64(p.queue.length))
	p.admit()
	p.mu.Unlock()
	if out != nil {
		p.counts.refused.Add(1)
		out.ready <- false
	}
	tooLong := time.NewTimer(p.wait)
	defer tooLong.Stop()
	select {
	case seated := <-w.ready:
		return answer(seated)
	case <-ctx.Done():
		return p.leave(w, context.Cause(ctx))
	case <-tooLong.C:
		return p.leave(w, ErrBusy)
	}
}

func answer(seated bool) error {
	if seated {
		return nil
	}
	return ErrBusy
}

// leave takes a request out of the queue, unless it got its seats meanwhile.
func (p *pool) leave(w *waiter, why error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.flow == nil {
		return answer(<-w.ready)
	}
	p.queue.remove(w)
	p.waiting.Store(int64(p.queue.length))
	p.counts.refused.Add(1)
	p.admit() // the one behind may need fewer seats
	return why
}

// admit seats those who are next; mu is held.
func (p *pool) admit() {
	for w := p.queue.next(); w != nil && p.take(w.width); w = p.queue.next() {
		p.queue.pop()
		w.ready <- true
	}
	p.waiting.Store(int64(p.queue.length))
}
