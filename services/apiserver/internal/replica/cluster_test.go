package replica_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/test/bufconn"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network joins members of one process. A member that is cut off reaches nobody
// and is reached by nobody: its connections break and new ones fail.
type network struct {
	mu        sync.Mutex
	listeners map[string]*bufconn.Listener
	cut       map[string]bool
	refused   map[[2]string]bool // from one to another, as by a port that nobody listens at
	conns     map[net.Conn][2]string
}

func newNetwork() *network {
	return &network{listeners: map[string]*bufconn.Listener{}, cut: map[string]bool{}, refused: map[[2]string]bool{}, conns: map[net.Conn][2]string{}}
}

func (n *network) listen(address string) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := bufconn.Listen(256 << 10)
	n.listeners[address] = l
	return namedListener{l, address}
}

func (n *network) dialer(from string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, to string) (net.Conn, error) {
		n.mu.Lock()
		l, cut, refused := n.listeners[to], n.cut[from] || n.cut[to], n.refused[[2]string{from, to}]
		n.mu.Unlock()
		refusal := &net.OpError{Op: "dial", Net: "memory", Addr: named(to), Err: syscall.ECONNREFUSED}
		if refused {
			return nil, refusal
		}
		if l == nil || cut {
			return nil, fmt.Errorf("no way from %s to %s", from, to)
		}
		conn, err := l.DialContext(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, err
		case err != nil: // the member has closed it
			return nil, refusal
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.cut[from] || n.cut[to] {
			_ = conn.Close()
			return nil, fmt.Errorf("the way from %s to %s was cut", from, to)
		}
		n.conns[conn] = [2]string{from, to}
		return conn, nil
	}
}

func (n *network) setCut(member string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[member] = cut
	for conn, ends := range n.conns {
		if cut && (ends[0] == member || ends[1] == member) {
			_ = conn.Close()
			delete(n.conns, conn)
		}
	}
}

// refuse breaks the connections between a member and some others, and has new
// ones refused.
func (n *network) refuse(member string, others ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, other := range others {
		n.refused[[2]string{member, other}], n.refused[[2]string{other, member}] = true, true
	}
	for conn, ends := range n.conns {
		if n.refused[ends] {
			_ = conn.Close()
			delete(n.conns, conn)
		}
	}
}

type namedListener struct {
	net.Listener
	address string
}

func (l namedListener) Addr() net.Addr { return named(l.address) }

type named string

func (named) Network() string  { return "memory" }
func (n named) String() string { return string(n) }

// member is a replica that runs.
type member struct {
	*replica.Replica
	id   string
	stop context.CancelFunc
	done chan error
}

// halt stops a member and returns what Run returned.
func (m *member) halt() error {
	m.stop()
	return <-m.done
}

func run(t testing.TB, config replica.Config) *member {
	t.Helper()
	config.Logger = logger()
	if config.Store == nil {
		config.Store = state.New()
	}
	r, err := replica.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{Replica: r, id: config.ID, stop: cancel, done: make(chan error, 1)}
	go func() { m.done <- r.Run(ctx) }()
	return m
}

func logger() *slog.Logger {
	if os.Getenv("MUSTER_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// cluster is some members on one network in memory.
type cluster struct {
	t       testing.TB
	network *network
	timing  replica.Timing
	members []*member
}

func newCluster(t testing.TB, size int) *cluster {
	t.Helper()
	return newClusterWith(t, size, replica.Timing{})
}

func newClusterWith(t testing.TB, size int, timing replica.Timing) *cluster {
	t.Helper()
	c := &cluster{t: t, network: newNetwork(), timing: timing}
	for i := range size {
		c.start(i, i == 0)
	}
	c.join()
	return c
}

func (c *cluster) start(i int, bootstrap bool) {
	id := fmt.Sprintf("m%d", i+1)
	m := run(c.t, replica.Config{
		ID: id, ClusterID: "c", InMemory: true, Bootstrap: bootstrap, Timing: c.timing,
		Listener: c.network.listen(id), Dial: c.network.dialer(id),
	})
	c.members = append(c.members, m)
}

func (c *cluster) join() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, m := range c.members[1:] {
		if err := c.members[0].AddVoter(ctx, m.id, m.id); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, m := range c.members {
		if err := m.WaitReady(ctx); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *cluster) stop() {
	c.t.Helper()
	for _, m := range c.members {
		m.stop()
	}
	for _, m := range c.members {
		if err := <-m.done; err != nil {
			c.t.Errorf("member %s: %v", m.id, err)
		}
	}
}

// leader waits until all of some members agree on a leader among them.
func (c *cluster) leader(among ...*member) *member {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		votes := map[string]int{}
		for _, m := range among {
			id, _ := m.Leader()
			votes[id]++
		}
		for _, m := range among {
			if votes[m.id] == len(among) && m.IsLeader() {
				return m
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatal("no leader")
	return nil
}

// without returns the members but one.
func (c *cluster) without(gone *member) []*member {
	var rest []*member
	for _, m := range c.members {
		if m != gone {
			rest = append(rest, m)
		}
	}
	return rest
}

func put(name, value string) *storev1.Transaction {
	return &storev1.Transaction{Operations: []*storev1.Operation{{
		Key:    &storev1.Key{Resource: "pods", Namespace: "a", Name: name},
		Action: storev1.Action_ACTION_PUT, Value: []byte(value),
	}}}
}

func create(name, value string) *storev1.Transaction {
	tx := put(name, value)
	tx.Operations[0].Precondition = storev1.Precondition_PRECONDITION_ABSENT
	return tx
}

func (m *member) write(t testing.TB, tx *storev1.Transaction) *storev1.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	result, err := m.Apply(ctx, tx)
	if err != nil {
		t.Fatalf("write on %s: %v", m.id, err)
	}
	return result
}

func (m *member) read(t testing.TB, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	view, err := m.Read(ctx)
	if err != nil {
		t.Fatalf("read on %s: %v", m.id, err)
	}
	return value(view, name)
}

func value(view state.View, name string) string {
	entry, ok := view.Get(state.Key{Resource: "pods", Namespace: "a", Name: name})
	if !ok {
		return ""
	}
	return string(entry.Value())
}

// sameState checks that all members end with the same state.
func sameState(t testing.TB, members ...*member) {
	t.Helper()
	var first string
	for _, m := range members {
		m.read(t, "") // waits until all is applied
		s := fmt.Sprint(m.Store().View().Revision(), m.Store().View().Count("pods", ""))
		for e := range m.Store().View().All() {
			s += fmt.Sprintf(" %s=%s@%d", e.Key, e.Value(), e.ModRevision)
		}
		if first == "" {
			first = s
		} else if s != first {
			t.Fatalf("states differ:\n%s\n%s", first, s)
		}
	}
}
