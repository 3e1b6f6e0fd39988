package role

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/cmd/muster/internal/enroll"
	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/join"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// Config says which instance of a role runs apart from the servers.
type Config struct {
	// Name of the instance; the host's when not given.
	Name string
	// AdvertiseAddress is the IP at which administrators reach it; the one towards
	// the default route when not given.
	AdvertiseAddress string
	DataDir          string
	// Join is the token; not needed once the directory holds an identity.
	Join   string
	Logger *slog.Logger
}

// RunApart runs a role in a process of its own until ctx ends: it joins by a token
// of its role, which gets it a certificate of that role and no secret of the
// cluster, and renews the certificate by itself.
func (r Role) RunApart(ctx context.Context, c Config) error {
	address, err := provision.HostAddress("advertise-address", c.AdvertiseAddress)
	if err != nil {
		return err
	}
	self, err := enroll.Ensure(ctx, enroll.Request{Kind: r.Kind, Name: c.Name, DataDir: c.DataDir, Token: c.Join, Logger: c.Logger})
	if err != nil {
		return err
	}
	err = r.runAs(ctx, c, self, provision.Address(address.String(), r.Port))
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (r Role) runAs(ctx context.Context, c Config, self *enroll.Member, address string) error {
	var known atomic.Pointer[join.Membership]
	known.Store(&self.Membership)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return join.KeepFresh(ctx, c.Logger, self.KeyPair, join.Servers{
			Addresses: func() []string { return known.Load().APIAddresses }, KeyPair: self.KeyPair,
		})
	})
	group.Go(func() error {
		return r.Run(ctx, Instance{
			Identity: Holder(self.Name, address),
			Own:      self.KeyPair, Serving: self.KeyPair, Servers: self.APIAddresses, Logger: c.Logger,
			Client: func(ctx context.Context, client *sdk.Client) error {
				return join.KeepServers(ctx, c.Logger, self.DataDir, self.Membership, clusterv1.NewClusterServiceClient(client.Conn()),
					func(m join.Membership) { known.Store(&m) })
			},
		})
	})
	return group.Wait()
}
