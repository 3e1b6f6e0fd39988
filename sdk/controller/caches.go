package controller

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	informers map[any]runnable // by Go type, or by the message name of metadata
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
	return &Caches{client: cfg.Client, log: cfg.Logger, track: cfg.TrackMutations, informers: map[any]runnable{}}
}

// Cache returns the shared informer of a type, making it first if need be. New
// types must be asked for before Run: it panics afterwards, for that cache would
// stay empty for ever.
func Cache[T sdk.Object](c *Caches) *informer.Informer[T] {
	return shared(c, reflect.TypeFor[T](), sdk.TypeNameOf[T](), informer.New[T])
}

// MetadataCache is Cache of the metadata of a type that is known at run time only.
func MetadataCache(c *Caches, typ string) *informer.Informer[*metav1.PartialObjectMetadata] {
	return shared(c, typ, typ, func(client *sdk.Client, o informer.Options) *informer.Informer[*metav1.PartialObjectMetadata] {
		return informer.Metadata(client, typ, o)
	})
}

// shared returns the informer of the key, which it makes at first.
func shared[T sdk.Object](c *Caches, key any, typ string, make func(*sdk.Client, informer.Options) *informer.Informer[T]) *informer.Informer[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, ok := c.informers[key]; ok {
		return have.(*informer.Informer[T])
	}
	if c.running {
		panic(fmt.Sprintf("controller: cache of %s asked for after Run", typ))
	}
	in := make(c.client, informer.Options{Logger: c.log, TrackMutations: c.track})
	c.informers[key] = in
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
