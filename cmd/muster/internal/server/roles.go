package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/internal/serve"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/controllermanager"
	"github.com/musterhq/muster/services/scheduler"
)

// role is a service beside the apiserver: it works through the API, and answers
// on a port of its own.
type role interface {
	Run(ctx context.Context) error
	Register(r grpc.ServiceRegistrar)
}

// runRoles runs the scheduler and the controller manager, each as a client of
// its own name. Several servers run them; one of each leads.
func (s *controlPlane) runRoles(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.runRole(ctx, "scheduler", s.scheduler, provision.SchedulerPort, func(client *sdk.Client) (role, error) {
			return scheduler.New(scheduler.Config{Client: client, Identity: s.membership.Name, Logger: s.config.Logger})
		})
	})
	group.Go(func() error {
		return s.runRole(ctx, "controller manager", s.manager, provision.ControllerManagerPort, func(client *sdk.Client) (role, error) {
			return controllermanager.New(controllermanager.Config{
				Client: client, Identity: s.membership.Name, PodCIDR: podCIDR, RootCA: s.own.CAPEM(),
				ProbeTLS: s.manager.PeerTLS(pki.IsAnyNode, "h2"), Logger: s.config.Logger,
			})
		})
	})
	return group.Wait()
}

func (s *controlPlane) runRole(ctx context.Context, name string, pair *pki.KeyPair, port int, make func(*sdk.Client) (role, error)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
	}()
	client, err := sdk.Dial(sdk.Config{
		Servers: s.apiAddresses(), TLS: pair.PeerTLS(pki.IsServer, "h2"), UserAgent: "muster-" + name, Logger: s.config.Logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	r, err := make(client)
	if err != nil {
		return err
	}
	lis, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	guard := access.NewGuard(access.UserFromPeer)
	srv := serve.NewGRPCServer(credentials.NewTLS(s.own.ServerTLS(tls.RequireAndVerifyClientCert, "h2")), guard)
	r.Register(srv)
	if err := guard.CheckServer(srv); err != nil {
		_ = lis.Close()
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serve.GRPC(ctx, s.logger, lis, srv) })
	group.Go(func() error { return r.Run(ctx) })
	return group.Wait()
}
