// Package cluster is the apiserver's ClusterService: who the members are, how
// one joins and renews its certificate, and what gossip says of the nodes.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/gossip"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Replica is the replicated state, called from any goroutine. What takes a
// context blocks until the cluster answers or the context ends.
type Replica interface {
	Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error)
	Read(ctx context.Context) (state.View, error)
	Store() *state.Store
	AddVoter(ctx context.Context, id, address string) error
	AddNonvoter(ctx context.Context, id, address string) error
	RemoveServer(ctx context.Context, id string) error
	// TransferLeadership returns who leads then.
	TransferLeadership(ctx context.Context, id string) (string, error)
	// Standings are the members with their states.
	Standings(ctx context.Context) []*clusterv1.Member
	// Silent are the members that do not answer the leader; nobody's but the
	// leader's counts.
	Silent() map[string]time.Duration
	IsLeader() bool
	// Epoch is how often the cluster was recovered.
	Epoch() uint64
}

// RaftMember is what Raft knows of a member.
type RaftMember struct {
	ID, Address   string
	Leader, Voter bool
}

// Addresses are where a server answers, each host:port, and what it runs.
type Addresses struct {
	Raft    string `json:"raft"`
	API     string `json:"api"`
	REST    string `json:"rest"`
	Gossip  string `json:"gossip"`
	Version string `json:"version,omitempty"`
}

// Config is what the service needs.
type Config struct {
	// Name of this server, its Raft ID.
	Name      string
	ClusterID string
	// Addresses of this server, as the others reach it.
	Addresses Addresses
	// Authority signs; every server holds it.
	Authority            *pki.CA
	ServiceAccountKeyPEM []byte
	Replica              Replica
	// Members lists the Raft configuration; it does not block.
	Members func() []RaftMember
	// GossipKey encrypts the pool. GossipListen is the address to bind,
	// host:port; without it, and without GossipTransport, this server gossips
	// with nobody.
	GossipKey       []byte
	GossipListen    string
	GossipAdvertise netip.Addr
	GossipTransport memberlist.Transport
	// GossipSeeds are addresses to try beside the servers that the state names:
	// those that a joining server was told.
	GossipSeeds []string
	// Bearers makes bearer tokens.
	Bearers Bearers
	// RemoveDeadAfter is how long a voter must have been silent before one that
	// joined takes its place and it is removed; 0 is never.
	RemoveDeadAfter time.Duration
	Logger          *slog.Logger
}

// Bearers makes bearer tokens; auth verifies them.
type Bearers interface {
	Issue(ctx context.Context, user access.User, ttl time.Duration) (string, error)
}

// Service implements ClusterService.
type Service struct {
	clusterv1.UnimplementedClusterServiceServer

	config Config
	pool   *gossip.Pool // nil when this server does not gossip
	logger *slog.Logger
	absent absences
}

// New binds the gossip sockets. Run must follow.
func New(config Config) (*Service, error) {
	if config.Name == "" || config.Authority == nil || config.Replica == nil || config.Members == nil {
		return nil, errors.New("cluster service: name, authority, replica and members are required")
	}
	s := &Service{config: config, logger: config.Logger.With("component", "cluster")}
	if config.GossipListen == "" && config.GossipTransport == nil {
		return s, nil
	}
	var err error
	s.pool, err = gossip.New(gossip.Config{
		Role: gossip.Server, Name: config.Name,
		Listen: config.GossipListen, Advertise: config.GossipAdvertise, Transport: config.GossipTransport,
		Key: config.GossipKey, Seeds: s.gossipSeeds, Logger: config.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("cluster service: %w", err)
	}
	return s, nil
}

// Run gossips, and tells the cluster where this server answers, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if s.pool != nil {
		group.Go(func() error { return s.pool.Run(ctx) })
	}
	group.Go(func() error { return s.announce(ctx) })
	group.Go(func() error { return s.tidy(ctx) })
	return group.Wait()
}

// announce writes this server's addresses into the state, as soon as the
// cluster takes writes.
func (s *Service) announce(ctx context.Context) error {
	const retry = 200 * time.Millisecond
	for {
		err := s.writeServer(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		s.logger.Debug("addresses not announced yet", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
	}
}
