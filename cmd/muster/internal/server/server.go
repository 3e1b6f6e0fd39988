package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/cmd/muster/internal/role"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver"
)

// Config says what a server is.
type Config struct {
	Identity
	// Join is the token of a cluster to join; without it, and without an identity
	// in the data directory, a new cluster is formed.
	Join string
	// NonVoter makes a server that joins one that never votes. It stays so.
	NonVoter bool
	// RemoveDeadAfter is how long a voter must have been silent before one that
	// joined takes its place and it is removed; 0 is never.
	RemoveDeadAfter time.Duration
	// Audit says what is written down of what is asked for, and where.
	Audit apiserver.AuditConfig
	// Roles that run in this process beside the apiserver.
	Roles  []role.Role
	Logger *slog.Logger
}

// Run runs the server until ctx ends.
func Run(ctx context.Context, config Config) error {
	m, err := config.ensure(ctx, config.Logger, config.Join, config.NonVoter)
	if err != nil {
		return err
	}
	s := &controlPlane{config: config, membership: m, pairs: map[string]*pki.KeyPair{}, logger: config.Logger.With("component", "server")}
	s.servers.Store(&m.APIAddresses)
	if err := s.load(); err != nil {
		return err
	}
	return s.run(ctx)
}

// runRoles runs the other roles, each as a client of its own name. Several servers
// run them; one of each leads.
func (s *controlPlane) runRoles(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range s.config.Roles {
		group.Go(func() error {
			return r.Run(ctx, role.Instance{
				Identity: s.membership.Name, Own: s.pairs[r.Pair], Serving: s.own, Servers: s.apiAddresses(), Logger: s.config.Logger,
			})
		})
	}
	return group.Wait()
}

// controlPlane is the roles of one server and their identities.
type controlPlane struct {
	config     Config
	membership join.Membership
	own        *pki.KeyPair
	pairs      map[string]*pki.KeyPair // of all roles, whether they run here or not
	apiserver  *apiserver.Server
	servers    atomic.Pointer[[]string] // gRPC addresses of all servers known
	hindrance  atomic.Pointer[string]   // why this server is not ready yet
	logger     *slog.Logger
}

func (s *controlPlane) load() error {
	authority, err := pki.LoadCA(join.PKIDir(s.config.DataDir))
	if err != nil {
		return s.incomplete(err)
	}
	for _, name := range []string{provision.ServerPair, provision.SchedulerPair, provision.ControllerManagerPair} {
		pair, err := join.LoadPair(s.config.DataDir, name)
		if err != nil {
			return s.incomplete(err)
		}
		if err := s.revive(pair, authority); err != nil {
			return err
		}
		s.pairs[name] = pair
	}
	s.own = s.pairs[provision.ServerPair]
	serviceAccountKey, err := provision.ServiceAccountKey(s.config.DataDir)
	if err != nil {
		return s.incomplete(err)
	}
	if err := s.checkLog(); err != nil {
		return err
	}
	s.apiserver, err = apiserver.New(apiserver.Config{
		Name: s.membership.Name, DataDir: s.config.DataDir, AdvertiseAddress: s.config.AdvertiseAddress,
		Authority: authority, KeyPair: s.own, ServiceAccountKeyPEM: serviceAccountKey,
		ClusterID: s.membership.ClusterID, Bootstrap: s.membership.Bootstrap,
		NonVoter: s.membership.NonVoter, Epoch: s.membership.Epoch, RemoveDeadAfter: s.config.RemoveDeadAfter,
		Audit:     s.config.Audit,
		GossipKey: s.membership.GossipKey, GossipSeeds: s.others(s.membership.GossipAddresses),
		GossipListen: net.JoinHostPort("0.0.0.0", strconv.Itoa(provision.GossipPort)),
		Logger:       s.config.Logger,
	})
	if err != nil {
		return err
	}
	return s.began()
}

// revive renews a certificate that expired while the server was off. It holds
// the authority itself; were the whole cluster off for that long, nobody else
// could.
func (s *controlPlane) revive(pair *pki.KeyPair, authority *pki.CA) error {
	expired := pair.Leaf().NotAfter
	if time.Now().Before(expired) {
		return nil
	}
	renewed, err := pair.Reissue(authority)
	if err != nil {
		return fmt.Errorf("the certificate of %s expired at %s and cannot be renewed: %w", pair.Identity().User, expired.Format(time.RFC3339), err)
	}
	s.logger.Warn("certificate had expired and is renewed", "user", pair.Identity().User, "expired", expired, "expires", renewed)
	return nil
}

// incomplete says what can be done when the server's identity cannot be read.
func (s *controlPlane) incomplete(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run the server as the user who owns %s", err, s.config.DataDir)
	}
	return fmt.Errorf("%w: the server's identity is damaged; restore %s from a backup, or copy what all servers share (ca.crt, ca.key, service-account.key) from another one",
		err, join.PKIDir(s.config.DataDir))
}

func (s *controlPlane) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.apiserver.Run(ctx) })
	group.Go(func() error {
		if err := s.enter(ctx); err != nil {
			return err
		}
		if err := s.entered(); err != nil {
			return err
		}
		group.Go(func() error { return s.stay(ctx) })
		group.Go(func() error { return s.keepServers(ctx) })
		s.logger.Info("server is ready", "name", s.membership.Name, "kubernetes", provision.Address(s.config.AdvertiseAddress, provision.RESTPort))
		return s.runRoles(ctx)
	})
	for _, pair := range s.pairs {
		group.Go(func() error {
			return join.KeepFresh(ctx, s.config.Logger, pair, join.Servers{Addresses: s.apiAddresses, KeyPair: pair})
		})
	}
	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
