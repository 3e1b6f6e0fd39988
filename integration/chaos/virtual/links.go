package virtual

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/memnet"
)

const (
	// queued is how many writes may be under way in one direction.
	queued = 256
	// Every write takes between these to arrive. With no delay at all nothing
	// would ever overlap in virtual time.
	soonest = 100 * time.Microsecond
	latest  = time.Millisecond
)

// links are the connections of a network whose directions can be broken: what is
// sent into a broken one waits, in order, until it is mended, as TCP sends again
// what was lost.
type links struct {
	net     *memnet.Network
	name    func(host string) string // of the member at a host
	passing sync.WaitGroup

	mu      sync.Mutex
	broken  map[chaos.Pair]chaos.Quality
	changed chan struct{}
}

func newLinks(name func(host string) string) *links {
	return &links{net: memnet.New(), name: name, changed: make(chan struct{})}
}

func (l *links) shape(broken map[chaos.Pair]chaos.Quality) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *links) quality(p chaos.Pair) (chaos.Quality, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken[p], l.changed
}

// whole waits until a direction loses nothing; false when ctx ends first.
func (l *links) whole(ctx context.Context, p chaos.Pair) bool {
	for {
		q, changed := l.quality(p)
		if !q.Lost {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// dialer dials from a host.
func (l *links) dialer(from string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		there := chaos.Pair{From: l.name(from), To: l.name(host)}
		back := chaos.Pair{From: there.To, To: there.From}
		if !l.whole(ctx, there) || !l.whole(ctx, back) {
			return nil, ctx.Err()
		}
		inner, err := l.net.DialFrom(ctx, from, address)
		if err != nil || from == host {
			return inner, err
		}
		near, far := net.Pipe()
		l.passing.Go(func() { l.pass(there, far, inner) })
		l.passing.Go(func() { l.pass(back, inner, far) })
		return &conn{Conn: near, local: inner.LocalAddr(), remote: inner.RemoteAddr()}, nil
	}
}

// conn is the dialer's end; a pipe has no addresses.
type conn struct {
	net.Conn
	local, remote net.Addr
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// chunk is one write under way.
type chunk struct {
	data []byte
	due  time.Time
}

// pass carries one direction of a connection, until either side closes.
func (l *links) pass(p chaos.Pair, from, to net.Conn) {
	under := make(chan chunk, queued)
	l.passing.Go(func() { l.deliver(p, under, to) })
	defer close(under)
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			q, _ := l.quality(p)
			under <- chunk{slices.Clone(buf[:n]), time.Now().Add(q.Delay + soonest + rand.N(latest-soonest))}
		}
		if err != nil {
			return
		}
	}
}

func (l *links) deliver(p chaos.Pair, under <-chan chunk, to net.Conn) {
	ctx := context.Background() // links are all mended in the end
	for c := range under {
		time.Sleep(time.Until(c.due))
		l.whole(ctx, p)
		if _, err := to.Write(c.data); err != nil {
			break
		}
	}
	_ = to.Close()
	for range under { // its reader may wait for room
	}
}
