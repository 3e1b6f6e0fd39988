package gossip_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/internal/gossip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func freeAddress(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return "127.0.0.1:" + strconv.Itoa(lis.Addr().(*net.TCPAddr).Port)
}

type member struct {
	pool *gossip.Pool
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, role gossip.Role, name, listen string, key []byte, seeds ...string) *member {
	t.Helper()
	pool, err := gossip.New(gossip.Config{
		Role: role, Name: name, Listen: listen, Advertise: netip.MustParseAddr("127.0.0.1"),
		AgentAddress: name + ":10250", Key: key,
		Seeds:  func(context.Context) []string { return seeds },
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{pool: pool, stop: cancel, done: make(chan error, 1)}
	go func() { m.done <- pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-m.done; err != nil {
			t.Error(err)
		}
	})
	return m
}

// await waits until the pool says what want says of the member.
func (m *member) await(t *testing.T, name string, want gossip.State) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		members, changed := m.pool.Members()
		for _, other := range members {
			if other.Name == name && other.State == want {
				if other.AgentAddress != name+":10250" {
					t.Fatalf("agent address of %s: %q", name, other.AgentAddress)
				}
				return
			}
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s is not in state %v: %v", name, want, members)
		}
	}
}

func TestPool(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	seed := freeAddress(t)
	// The node comes first and keeps asking for its seed.
	node := start(t, gossip.Node, "n1", freeAddress(t), key, seed)
	server := start(t, gossip.Server, "s1", seed, key)
	server.await(t, "n1", gossip.Alive)
	node.await(t, "s1", gossip.Alive)
	node.stop()
	server.await(t, "n1", gossip.Left)
}

func TestPoolRefusesAnotherKey(t *testing.T) {
	seed := freeAddress(t)
	server := start(t, gossip.Server, "s1", seed, bytes.Repeat([]byte{1}, 32))
	start(t, gossip.Node, "stranger", freeAddress(t), bytes.Repeat([]byte{2}, 32), seed)
	start(t, gossip.Node, "friend", freeAddress(t), bytes.Repeat([]byte{1}, 32), seed)
	server.await(t, "friend", gossip.Alive)
	members, _ := server.pool.Members()
	for _, m := range members {
		if m.Name == "stranger" {
			t.Error("a member with another key is in the pool")
		}
	}
}

func TestNewRefusesNoKey(t *testing.T) {
	_, err := gossip.New(gossip.Config{Role: gossip.Node, Name: "n", Listen: freeAddress(t), Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("a pool without encryption is made")
	}
}
