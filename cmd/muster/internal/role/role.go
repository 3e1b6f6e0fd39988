// Package role runs the services beside the apiserver, a scheduler and a
// controller manager. Each works through the API, as a client of its own name,
// and answers on a port of its own, in a server's process or apart.
package role

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/musterhq/muster/cmd/muster/internal/enroll"
	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/internal/serve"
	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/controllermanager"
	"github.com/musterhq/muster/services/scheduler"
)

// podCIDR is the cluster's pod network, of which each node is given a /24.
var podCIDR = netip.MustParsePrefix("10.244.0.0/16")

// service is what a role runs.
type service interface {
	Run(ctx context.Context) error
	Register(r grpc.ServiceRegistrar)
}

// Role is one of the services.
type Role struct {
	// Kind is what it joins as when it runs apart.
	enroll.Kind
	// Port that it answers on.
	Port int
	make func(Instance, *sdk.Client) (service, error)
}

// Scheduler assigns pods to nodes.
func Scheduler() Role {
	return Role{
		Kind: kind("scheduler", clusterv1.CertificateRole_CERTIFICATE_ROLE_SCHEDULER, pki.UserScheduler),
		Port: provision.SchedulerPort,
		make: func(i Instance, client *sdk.Client) (service, error) {
			return scheduler.New(scheduler.Config{Client: client, Identity: i.Identity, Logger: i.Logger})
		},
	}
}

// ControllerManager brings the cluster closer to what its objects declare.
func ControllerManager() Role {
	return Role{
		Kind: kind("controller-manager", clusterv1.CertificateRole_CERTIFICATE_ROLE_CONTROLLER_MANAGER, pki.UserControllerManager),
		Port: provision.ControllerManagerPort,
		make: func(i Instance, client *sdk.Client) (service, error) {
			return controllermanager.New(controllermanager.Config{
				Client: client, Identity: i.Identity, PodCIDR: podCIDR, RootCA: i.Own.CAPEM(),
				ProbeTLS: i.Own.PeerTLS(pki.IsAnyNode, "h2"), Logger: i.Logger,
			})
		},
	}
}

// All are the roles that a server runs beside its apiserver.
func All() []Role { return []Role{Scheduler(), ControllerManager()} }

// kind is of a role whose name is that of its certificate, too. All instances are
// one user; what tells them apart is their name in the election.
func kind(name string, role clusterv1.CertificateRole, user string) enroll.Kind {
	return enroll.Kind{
		Name: name, Role: role, Pair: name, Service: name,
		Identity: func(string) pki.Identity { return pki.Identity{User: user} },
	}
}

// Instance is one that runs.
type Instance struct {
	// Identity in the election; no two instances of a role may share one.
	Identity string
	// Own is the certificate that it calls with, Serving the one it answers with.
	Own, Serving *pki.KeyPair
	// Servers are the gRPC addresses of the apiservers.
	Servers []string
	// Client is called once there is a client, and its error ends the instance;
	// nil is nobody.
	Client func(context.Context, *sdk.Client) error
	Logger *slog.Logger
}

// Run runs an instance until ctx ends. Several may run; one of them leads.
func (r Role) Run(ctx context.Context, i Instance) error {
	if err := r.run(ctx, i); err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	return nil
}

func (r Role) run(ctx context.Context, i Instance) (err error) {
	client, err := sdk.Dial(sdk.Config{
		Servers: i.Servers, TLS: i.Own.PeerTLS(pki.IsServer, "h2"), UserAgent: "muster-" + r.Name, Logger: i.Logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	s, err := r.make(i, client)
	if err != nil {
		return err
	}
	lis, err := r.listen()
	if err != nil {
		return err
	}
	srv, err := guarded(s, i.Serving)
	if err != nil {
		_ = lis.Close()
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serve.GRPC(ctx, i.Logger, lis, srv) })
	group.Go(func() error { return s.Run(ctx) })
	if i.Client != nil {
		group.Go(func() error { return i.Client(ctx, client) })
	}
	return group.Wait()
}

func (r Role) listen() (net.Listener, error) {
	lis, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(r.Port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: is a %s, or a `muster server` with its own, running here already? `ss -ltnp sport = :%d` shows who uses the port", err, r.Name, r.Port)
	}
	return lis, err
}

// guarded is the gRPC server of a role: its service, and gRPC's health service,
// which says that it runs.
func guarded(s service, pair *pki.KeyPair) (*grpc.Server, error) {
	guard := access.NewGuard(access.UserFromPeer)
	guard.Declare([]accessv1.Role{accessv1.Role_ROLE_ANONYMOUS},
		healthv1.Health_Check_FullMethodName, healthv1.Health_Watch_FullMethodName, healthv1.Health_List_FullMethodName)
	srv := serve.NewGRPCServer(credentials.NewTLS(pair.ServerTLS(tls.RequireAndVerifyClientCert, "h2")), guard)
	s.Register(srv)
	healthv1.RegisterHealthServer(srv, health.NewServer())
	return srv, guard.CheckServer(srv)
}
