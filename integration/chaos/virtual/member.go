package virtual

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/services/apiserver"
)

// member is an apiserver.
type member struct {
	cluster    *Cluster
	name, host string
	dir        string
	pair       *pki.KeyPair
	ahead      atomic.Int64 // nanoseconds that its clock is ahead
	first      bool         // forms the cluster

	api    *apiserver.Server
	cancel context.CancelFunc // nil while it is down by our doing
	done   chan struct{}
	err    error // why it ended, once done is closed
}

func (m *member) start() error {
	if m.done != nil {
		m.await() // it was killed, and may still have its log open
	}
	m.cluster.disks.kill(m.dir, false)
	c := m.cluster
	c.links.net.Boot(m.host)
	var listeners [3]net.Listener
	for i, port := range []string{"6443", grpcPort, "6444"} {
		var err error
		if listeners[i], err = c.links.net.Listen(net.JoinHostPort(m.host, port)); err != nil {
			return err
		}
	}
	api, err := apiserver.New(apiserver.Config{
		Name: m.name, DataDir: m.dir, AdvertiseAddress: m.host, ClusterID: "chaos",
		RESTListener: listeners[0], GRPCListener: listeners[1], RaftListener: listeners[2],
		Authority: c.authority, KeyPair: m.pair, Bootstrap: m.first,
		Now: func() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) },
		// A run of some thousand writes shall see snapshots sent and logs cut.
		SnapshotEntries: 100, SnapshotInterval: 2 * time.Second,
		Dial: c.links.dialer(m.host), Logger: c.log.With("server", m.name),
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	m.api, m.cancel, m.done = api, cancel, done
	go func() {
		defer close(done)
		m.err = api.Run(ctx)
	}()
	return nil
}

// endTime is how long a server may take to end.
const endTime = 2 * time.Minute

// await waits until it has ended. One that does not cannot be left behind: its
// bubble would go on forever, so all goroutines are shown instead.
func (m *member) await() {
	select {
	case <-m.done:
	case <-time.After(endTime):
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%s does not end within %v", m.name, endTime))
	}
}

// stop ends it in order.
func (m *member) stop() error {
	if m.cancel == nil {
		return nil
	}
	m.cancel()
	m.cancel = nil
	m.await()
	if m.err != nil && !errors.Is(m.err, context.Canceled) {
		return fmt.Errorf("stop %s: %w", m.name, m.err)
	}
	return nil
}

// kill ends it as kill -9 does: nothing that it does from now on is heard of, or in its
// log.
func (m *member) kill() {
	m.cluster.links.net.Crash(m.host)
	m.cluster.disks.kill(m.dir, true)
	m.cancel()
	m.cancel = nil
}

// join has another member make this one a member.
func (m *member) join(ctx context.Context) error {
	var others []string
	for _, o := range m.cluster.list() {
		if o != m {
			others = append(others, o.name)
		}
	}
	client, err := m.cluster.dial(m.pair, m.host, others)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	_, err = clusterv1.NewClusterServiceClient(client.Conn()).AddServer(ctx,
		&clusterv1.AddServerRequest{Id: m.name, RaftAddress: net.JoinHostPort(m.host, "6444")})
	if err != nil {
		return fmt.Errorf("join %s: %w", m.name, err)
	}
	return nil
}

// Kill implements chaos.Processes.
func (c *Cluster) Kill(_ context.Context, name string) error {
	m, err := c.member(name)
	if err == nil {
		m.kill()
	}
	return err
}

// Stop implements chaos.Processes.
func (c *Cluster) Stop(_ context.Context, name string) error {
	m, err := c.member(name)
	if err != nil {
		return err
	}
	return m.stop()
}

// Start implements chaos.Processes.
func (c *Cluster) Start(_ context.Context, name string) error {
	m, err := c.member(name)
	if err != nil {
		return err
	}
	return m.start()
}

// MoveClock implements chaos.Clocks.
func (c *Cluster) MoveClock(name string, by time.Duration) error {
	if m, err := c.member(name); err == nil { // it was not replaced meanwhile
		m.ahead.Store(int64(by))
	}
	return nil
}

// Ended implements chaos.Processes.
func (c *Cluster) Ended() error {
	var errs []error
	for _, m := range c.list() {
		if m.cancel == nil {
			continue
		}
		select {
		case <-m.done:
			errs = append(errs, fmt.Errorf("%s ended by itself: %w", m.name, m.err))
		default:
		}
	}
	return errors.Join(errs...)
}

// Replace implements chaos.Cluster. The new one comes before the old one goes.
func (c *Cluster) Replace(ctx context.Context, name string) error {
	old, err := c.member(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, replaceTime)
	defer cancel()
	if err := c.add(ctx); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	client, err := c.Dial()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	for {
		_, err = clusterv1.NewClusterServiceClient(client.Conn()).RemoveServer(ctx, &clusterv1.RemoveServerRequest{Id: name})
		if err == nil || status.Code(err) == codes.NotFound { // else the answer was lost
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("replace %s: %w", name, err)
		}
	}
	old.kill()
	old.await()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = slices.DeleteFunc(c.members, func(m *member) bool { return m == old })
	return nil
}
