package controller

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/informer"
)

// Caches are the informers that the controllers of a process share, one per
// type, over all namespaces. They may run while another instance leads, so that
// a successor begins with warm caches.
type Caches struct {
	client *sdk.Client
	log    *slog.Logger
	track  bool

	mu        sync.Mutex
	informers map[reflect.Type]runnable
	order     []runnable
	running   bool
}

// CachesConfig says where the objects come from.
type CachesConfig struct {
	Client *sdk.Client
	// Logger; nil discards.
	Logger *slog.Logger
	// TrackMutations lets CheckUnmodified work; for tests.
	TrackMutations bool
}

// NewCaches makes an empty set.
func NewCaches(cfg CachesConfig) *Caches {
	return &Caches{client: cfg.Client, log: cfg.Logger, track: cfg.TrackMutations, informers: map[reflect.Type]runnable{}}
}

// Cache returns the shared informer of a type, making it first if need be. New
// types must be asked for before Run: it panics afterwards, for that cache would
// stay empty for ever.
func Cache[T sdk.Object](c *Caches) *informer.Informer[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := reflect.TypeFor[T]()
	if have, ok := c.informers[t]; ok {
		return have.(*informer.Informer[T])
	}
	if c.running {
		panic(fmt.Sprintf("controller: cache of %s asked for after Run", sdk.TypeNameOf[T]()))
	}
	in := informer.New[T](c.client, informer.Options{Logger: c.log, TrackMutations: c.track})
	c.informers[t] = in
	c.order = append(c.order, in)
	return in
}

// Run keeps all caches up to date until ctx ends.
func (c *Caches) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, in := range c.start() {
		g.Go(func() error { return in.Run(ctx) })
	}
	// Without any cache Run still blocks, as its callers expect.
	g.Go(func() error { <-ctx.Done(); return nil })
	return g.Wait()
}

func (c *Caches) start() []runnable {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = true
	return c.order
}

// WaitSynced waits until every cache has been filled once.
func (c *Caches) WaitSynced(ctx context.Context) error {
	c.mu.Lock()
	all := c.order
	c.mu.Unlock()
	for _, in := range all {
		if err := in.WaitSynced(ctx); err != nil {
			return err
		}
	}
	return nil
}

// CheckUnmodified returns the names of cached objects that someone modified.
func (c *Caches) CheckUnmodified() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, in := range c.order {
		out = append(out, in.CheckUnmodified()...)
	}
	return out
}
