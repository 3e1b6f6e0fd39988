package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/musterhq/muster/integration/bench/load"
)

const (
	// writers write on while their leader is killed. An attempt that is not
	// answered in attemptTime is given up, and another one made.
	writers     = 16
	attemptTime = 500 * time.Millisecond
	// beforeKill and afterKill are how long they write before, and
	// after the first write that is acknowledged again.
	beforeKill, afterKill = time.Second, 3 * time.Second
	// failoverTime bounds the wait for the first write after.
	failoverTime = time.Minute
)

// gap watches for the longest time without an acknowledged write by anybody.
type gap struct {
	mu       sync.Mutex
	watching bool
	last     time.Time
	longest  time.Duration
	first    chan struct{} // closed by the first write after watching began
}

func (g *gap) acknowledged() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.watching {
		g.longest = max(g.longest, now.Sub(g.last))
		select {
		case <-g.first:
		default:
			close(g.first)
		}
	}
	g.last = now
}

func (g *gap) watch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watching = true
}

// failover kills the leader once and measures the longest gap.
func failover(ctx context.Context, b *bed) ([]Figure, error) {
	if err := b.fill(ctx, working, workingObjects, objectSize); err != nil {
		return nil, err
	}
	leader, err := b.Leader(ctx)
	if err != nil {
		return nil, err
	}
	g := &gap{first: make(chan struct{})}
	stop, err := b.write(ctx, g)
	if err != nil {
		return nil, err
	}
	err = b.killed(ctx, leader, g)
	stop()
	if err != nil {
		return nil, err
	}
	restarted, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	if err := b.Start(restarted, leader); err != nil {
		return nil, err
	}
	if err := b.serves(restarted, leader); err != nil {
		return nil, err
	}
	return []Figure{{Unit: "ms", Value: float64(g.longest) / float64(time.Millisecond)}}, nil
}

func (b *bed) killed(ctx context.Context, leader int, g *gap) error {
	if err := load.Pause(ctx, beforeKill); err != nil {
		return err
	}
	g.watch()
	b.Process(leader).Kill()
	if err := until(ctx, g.first, failoverTime, "write after the leader was killed"); err != nil {
		return err
	}
	return load.Pause(ctx, afterKill)
}

// write has writers write until stop is called. Their clients know all members.
func (b *bed) write(ctx context.Context, g *gap) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	var clients []Client
	stop = func() {
		cancel()
		working.Wait()
		for _, c := range clients {
			_ = c.Close()
		}
	}
	for i := range b.options.Connections * b.Members() {
		var order []int
		for m := range b.Members() {
			order = append(order, (i+m)%b.Members())
		}
		client, err := b.Dial(order...)
		if err != nil {
			stop()
			return nil, fmt.Errorf("dial: %w", err)
		}
		clients = append(clients, client)
	}
	version := b.version
	b.version += 1 << 32
	for w := range writers {
		working.Go(func() { writeOn(ctx, clients[w%len(clients)], w, version, g) })
	}
	return stop, nil
}

func writeOn(ctx context.Context, client Client, writer int, version uint64, g *gap) {
	for n := uint64(0); ctx.Err() == nil; n++ {
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		err := client.Put(attempt, object(working, name(writer), objectSize, version+n))
		cancel()
		if err == nil {
			g.acknowledged()
			continue
		}
		_ = load.Pause(ctx, time.Millisecond) // who is refused at once does not ask in a tight loop
	}
}
