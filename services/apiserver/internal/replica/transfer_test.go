package replica_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// pauses holds back what members answer to Raft on connections that others made,
// as a disk does that hangs: all else goes on.
type pauses struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// hold returns what lets the member go on.
func (p *pauses) hold(member string) (resume func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.held[member] = held
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.held, member)
		close(held)
	})
}

func (p *pauses) at(member string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[member]
}

func (p *pauses) dialer(dial func(context.Context, string) (net.Conn, error)) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, to string) (net.Conn, error) {
		conn, err := dial(ctx, to)
		if err != nil {
			return nil, err
		}
		closed := make(chan struct{})
		return &pausedConn{Conn: conn, pauses: p, to: to, closed: closed, close: sync.OnceFunc(func() { close(closed) })}, nil
	}
}

type pausedConn struct {
	net.Conn
	pauses *pauses
	to     string
	raft   atomic.Bool
	closed chan struct{}
	close  func()
}

func (c *pausedConn) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "muster-raft") { // the first that is sent without TLS
		c.raft.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *pausedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if held := c.pauses.at(c.to); held != nil && c.raft.Load() {
		select {
		case <-held:
		case <-c.closed:
		}
	}
	return n, err
}

func (c *pausedConn) Close() error {
	c.close()
	return c.Conn.Close()
}

// pausable is a cluster of three whose members can be held.
func pausable(t *testing.T) (*cluster, *pauses) {
	c, p := &cluster{t: t, network: newNetwork()}, &pauses{held: map[string]chan struct{}{}}
	for i := range 3 {
		id := fmt.Sprintf("m%d", i+1)
		c.members = append(c.members, run(t, replica.Config{
			ID: id, ClusterID: "c", InMemory: true, Bootstrap: i == 0,
			Listener: c.network.listen(id), Dial: p.dialer(c.network.dialer(id)),
		}))
	}
	c.join()
	return c, p
}

// Raft never ends a second transfer to a member that does not answer, if the
// leader is deposed meanwhile, and takes no writes when it leads again.
func TestALeaderTakesWritesAfterTransfersThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := pausable(t)
		defer c.stop()
		leader := c.leader(c.members...)
		paused, other := c.without(leader)[0], c.without(leader)[1]
		resume := p.hold(paused.id)
		defer resume()
		for i := range 20 { // more than may be under way to a follower
			leader.write(t, put("x", fmt.Sprint(i)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, want := range []string{"leadership transfer timeout", "when this leader asked it before"} {
			if _, err := leader.TransferLeadership(ctx, paused.id); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("transfer to a member whose replication hangs: %v", err)
			}
		}
		c.network.setCut(other.id, true)
		for leader.IsLeader() {
			time.Sleep(10 * time.Millisecond)
		}
		resume()
		c.network.setCut(other.id, false)
		if now := c.leader(c.members...); now != leader {
			if _, err := now.TransferLeadership(ctx, leader.id); err != nil {
				t.Fatal(err)
			}
		}
		leader.write(t, put("x", "again"))
		sameState(t, c.members...)
	})
}

// Raft waits for its calls before it ends.
func TestAMemberEndsWhileAnotherDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := pausable(t)
		leader := c.leader(c.members...)
		paused := c.without(leader)[0]
		resume := p.hold(paused.id)
		leader.write(t, put("x", "1"))
		start := time.Now()
		for _, m := range c.without(paused) {
			if err := m.halt(); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s ended %v after its stop", m.id, took)
			}
			start = time.Now()
		}
		resume()
		if err := paused.halt(); err != nil {
			t.Error(err)
		}
	})
}
