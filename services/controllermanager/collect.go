package controllermanager

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/services/controllermanager/garbagecollector"
	"github.com/musterhq/muster/services/controllermanager/internal/kinds"
)

// collect runs the garbage collector while this instance leads. It watches what the
// cluster says that it serves, and its caches are only the leader's: nobody waits for
// it, and they hold a little of every object.
func (m *Manager) collect(ctx context.Context) error {
	all, err := kinds.All(ctx, m.cfg.Client)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("garbage collector: %w", err)
	}
	caches := controller.NewCaches(controller.CachesConfig{Client: m.cfg.Client, Logger: m.cfg.Logger, TrackMutations: m.cfg.TrackMutations})
	runner, err := controller.NewRunner(controller.RunnerConfig{
		Controllers: []controller.Controller{garbagecollector.New(m.cfg.Client, caches, all)},
		Caches:      caches, Workers: m.cfg.Workers, Logger: m.cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("garbage collector: %w", err)
	}
	m.collector.Store(runner)
	defer m.collector.Store(nil)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return caches.Run(ctx) })
	g.Go(func() error { return runner.Run(ctx) })
	return g.Wait()
}

// stats are those of all controllers that run here.
func (m *Manager) stats() []controller.Stats {
	stats := m.runner.Stats()
	if collector := m.collector.Load(); collector != nil {
		stats = append(stats, collector.Stats()...)
	}
	return stats
}
