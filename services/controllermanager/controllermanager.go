// Package controllermanager runs the controllers that bring the cluster closer
// to what its objects declare. Several instances may run; one leads by a Lease
// and acts, the others keep their caches warm.
package controllermanager

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/election"
	"github.com/musterhq/muster/sdk/events"
	"github.com/musterhq/muster/services/controllermanager/deployment"
	"github.com/musterhq/muster/services/controllermanager/disruption"
	"github.com/musterhq/muster/services/controllermanager/endpoints"
	"github.com/musterhq/muster/services/controllermanager/endpointslice"
	"github.com/musterhq/muster/services/controllermanager/endpointslicemirroring"
	"github.com/musterhq/muster/services/controllermanager/namespace"
	"github.com/musterhq/muster/services/controllermanager/node"
	"github.com/musterhq/muster/services/controllermanager/replicaset"
	"github.com/musterhq/muster/services/controllermanager/resourcequota"
)

// leaseName is the Lease in kube-system that the leader holds.
const leaseName = "kube-controller-manager"

// Config says whose cluster it is and who acts.
type Config struct {
	// Client of the cluster; the caller closes it.
	Client *sdk.Client
	// Identity tells instances apart, for example the server's name.
	Identity string
	// PodCIDR is the cluster's pod network, of which each node is given a /24;
	// the zero prefix gives none.
	PodCIDR netip.Prefix
	// RootCA is the cluster's certificate authority in PEM, which pods find in
	// the ConfigMap kube-root-ca.crt of their namespace; empty for no such map.
	RootCA []byte
	// ProbeTLS authenticates both ends of the probes of agents; nil is plain
	// text, for tests. Which node answered is checked by what it says.
	ProbeTLS *tls.Config
	// ProbeDial opens connections to agents; nil is TCP.
	ProbeDial func(ctx context.Context, address string) (net.Conn, error)
	// Workers per controller; 0 is the runner's default.
	Workers int
	// LeaseDuration, RenewDeadline and RetryPeriod of the election; 0 for its
	// defaults.
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
	// TrackMutations has the caches notice who modifies them; for tests.
	TrackMutations bool
	// Logger; nil discards.
	Logger *slog.Logger
}

// Manager runs the controllers.
type Manager struct {
	cfg      Config
	caches   *controller.Caches
	runner   *controller.Runner
	monitor  *node.Monitor
	recorder *events.Recorder
	leading  atomic.Bool
	// collector runs the garbage collector; nil while this instance does not lead.
	collector atomic.Pointer[controller.Runner]
}

// New makes the controllers; Run runs them.
func New(cfg Config) (*Manager, error) {
	if cfg.Client == nil || cfg.Identity == "" {
		return nil, errors.New("controller manager: client and identity are needed")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{cfg: cfg}
	m.recorder = events.New(events.Config{Client: cfg.Client, Component: "controller-manager", Logger: cfg.Logger})
	m.caches = controller.NewCaches(controller.CachesConfig{Client: cfg.Client, Logger: cfg.Logger, TrackMutations: cfg.TrackMutations})
	prober := &node.Prober{TLS: cfg.ProbeTLS, Dial: cfg.ProbeDial}
	m.monitor = node.NewMonitor(cfg.Client, m.caches, m.recorder, prober, cfg.Logger)
	var err error
	m.runner, err = controller.NewRunner(controller.RunnerConfig{
		Controllers: m.controllers(), Caches: m.caches, Workers: cfg.Workers, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("controller manager: %w", err)
	}
	return m, nil
}

func (m *Manager) controllers() []controller.Controller {
	client, caches := m.cfg.Client, m.caches
	return []controller.Controller{
		deployment.New(client, caches, m.recorder),
		replicaset.New(client, caches, m.recorder),
		replicaset.NewForReplicationControllers(client, caches, m.recorder),
		endpointslice.New(client, caches),
		endpointslicemirroring.New(client, caches),
		endpoints.New(client, caches),
		namespace.New(client, caches, m.cfg.RootCA),
		node.New(client, caches, m.recorder, m.cfg.PodCIDR),
		disruption.New(client, caches, m.recorder),
		resourcequota.New(client, caches),
	}
}

// Run keeps the caches up to date and, while this instance leads, the
// controllers running, until ctx ends. It returns when all of it has stopped.
func (m *Manager) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.caches.Run(ctx) })
	g.Go(func() error { return m.recorder.Run(ctx) })
	g.Go(func() error {
		return election.Run(ctx, election.Config{
			Client: m.cfg.Client, Name: leaseName, Identity: m.cfg.Identity, Leading: &m.leading, Logger: m.cfg.Logger,
			LeaseDuration: m.cfg.LeaseDuration, RenewDeadline: m.cfg.RenewDeadline, RetryPeriod: m.cfg.RetryPeriod,
		}, m.lead)
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("controller manager: %w", err)
	}
	return nil
}

func (m *Manager) lead(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.runner.Run(ctx) })
	g.Go(func() error { return m.monitor.Run(ctx) })
	g.Go(func() error { return m.collect(ctx) })
	return g.Wait()
}

// Leading says whether this instance acts.
func (m *Manager) Leading() bool { return m.leading.Load() }

// Modified returns the names of cached objects that a controller modified; it
// needs Config.TrackMutations.
func (m *Manager) Modified() []string { return m.caches.CheckUnmodified() }
