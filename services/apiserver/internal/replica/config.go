// Package replica makes one state of several members: it orders transactions
// by Raft, applies them to a state.Store on every member, and answers
// linearizable reads on any of them.
package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Config says what a member is and what it works with.
type Config struct {
	// ID of the member, unique in the cluster and never used again.
	ID string
	// ClusterID of the cluster; a directory of another one is refused.
	ClusterID string
	// Epoch of the cluster that a new member joins; a member that has data knows
	// its own.
	Epoch uint64
	// Dir holds the log and the snapshots. It is not used if InMemory.
	Dir string
	// Advertise is the host:port at which the others reach Listener; by default
	// the listener's address.
	Advertise string
	// Listener takes connections for Raft and for the ReplicaService. Run closes
	// it.
	Listener net.Listener
	// Dial makes a raw connection; nil uses net.Dialer.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// ServerTLS and ClientTLS decide who a peer may be. Their protocols are set
	// here. Without them connections are plain, which only tests want.
	ServerTLS, ClientTLS *tls.Config
	// Bootstrap forms a cluster of this one member if there is no data yet.
	// Without it, a member without data waits to be added.
	Bootstrap bool
	// NonVoter makes a member that never votes. Without it the leader gives the
	// member its vote when it has caught up.
	NonVoter bool
	// InMemory keeps nothing on disk.
	InMemory bool
	// Store that the log is applied to; it must be new.
	Store *state.Store
	// Logger of the member.
	Logger *slog.Logger
	// Timing of Raft; zero fields take their defaults.
	Timing Timing
}

// Timing holds the durations and bounds of Raft.
type Timing struct {
	// Heartbeat is how long a follower waits for its leader before it stands for
	// election; 250 ms.
	Heartbeat time.Duration
	// Election is how long a candidate waits for votes; 250 ms.
	Election time.Duration
	// Lease is how long a leader that reaches no majority goes on; 125 ms.
	Lease time.Duration
	// Commit is how long a leader may wait to tell followers of a commit of its
	// own, as of new members; it tells them of transactions within 1 ms. 50 ms.
	Commit time.Duration
	// Attempt bounds one try to reach the leader; 2 s.
	Attempt time.Duration
	// SnapshotInterval is how often a snapshot is considered; 30 s.
	SnapshotInterval time.Duration
	// SnapshotThreshold is how many entries make one worth it; 8192.
	SnapshotThreshold uint64
	// TrailingLogs is how many entries stay behind a snapshot for members that
	// lag; 8192.
	TrailingLogs uint64
}

func (t Timing) withDefaults() Timing {
	set := func(field *time.Duration, to time.Duration) {
		if *field == 0 {
			*field = to
		}
	}
	set(&t.Heartbeat, 250*time.Millisecond)
	set(&t.Election, 250*time.Millisecond)
	set(&t.Lease, 125*time.Millisecond)
	set(&t.Commit, 50*time.Millisecond)
	set(&t.Attempt, 2*time.Second)
	set(&t.SnapshotInterval, 30*time.Second)
	if t.SnapshotThreshold == 0 {
		t.SnapshotThreshold = 8192
	}
	if t.TrailingLogs == 0 {
		t.TrailingLogs = 8192
	}
	return t
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.ID == "":
		return c, errors.New("open replica: ID is not set")
	case c.ClusterID == "":
		return c, errors.New("open replica: ClusterID is not set")
	case c.Dir == "" && !c.InMemory:
		return c, errors.New("open replica: Dir is not set")
	case c.Listener == nil:
		return c, errors.New("open replica: Listener is not set")
	case c.Store == nil:
		return c, errors.New("open replica: Store is not set")
	case (c.ServerTLS == nil) != (c.ClientTLS == nil):
		return c, errors.New("open replica: ServerTLS and ClientTLS go together")
	}
	if c.Advertise == "" {
		c.Advertise = c.Listener.Addr().String()
	}
	if host, _, err := net.SplitHostPort(c.Advertise); err == nil {
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			return c, fmt.Errorf("open replica: others cannot reach the address %s, set Advertise", c.Advertise)
		}
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "replica", "member", c.ID)
	c.Timing = c.Timing.withDefaults()
	return c, nil
}
