package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/integration/bench/load"
	"github.com/musterhq/muster/integration/bench/process"
)

const (
	// loaders and loadBatch are how a namespace is filled.
	loaders, loadBatch = 4, 100
	// prepareTime bounds the filling of a namespace.
	prepareTime = 20 * time.Minute
)

// bed is a cluster under measurement, with clients and what is in it.
type bed struct {
	Cluster
	options Options
	// clients are one or more for each member, in turn;
	// callers are dealt out to them in turn. Each knows its member only, so that
	// the load on the members is the same for both stores.
	clients []Client
	full    map[string]int // objects by namespace
	version uint64         // of the next object to put
}

func newBed(ctx context.Context, maker Maker, dir string, members int, options Options) (*bed, error) {
	cluster, err := maker.New(ctx, dir, members)
	if err != nil {
		return nil, err
	}
	b := &bed{Cluster: cluster, options: options, full: map[string]int{}, version: 1}
	if err := b.dial(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// dial makes the clients, in place of those there are.
func (b *bed) dial() error {
	b.hangUp()
	for i := range b.options.Connections * b.Members() {
		client, err := b.Dial(i % b.Members())
		if err != nil {
			return err
		}
		b.clients = append(b.clients, client)
	}
	return nil
}

func (b *bed) hangUp() {
	for _, c := range b.clients {
		_ = c.Close() // nothing is read from it any more
	}
	b.clients = nil
}

func (b *bed) close() {
	b.hangUp()
	b.Close()
}

func (b *bed) client(caller int) Client { return b.clients[caller%len(b.clients)] }

func name(i int) string { return fmt.Sprintf("object-%07d", i) }

// fill makes a namespace have count objects of that many bytes.
func (b *bed) fill(ctx context.Context, namespace string, count, size int) error {
	if _, is := b.full[namespace]; is {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	if err := b.clients[0].Prepare(ctx, namespace); err != nil {
		return fmt.Errorf("prepare namespace %s: %w", namespace, err)
	}
	err := b.load(ctx, count, func(ctx context.Context, c Client, chunk []int) error {
		var made []*corev1.ConfigMap
		for _, i := range chunk {
			made = append(made, object(namespace, name(i), size, uint64(i)))
		}
		return c.Load(ctx, made)
	})
	if err != nil {
		return fmt.Errorf("fill namespace %s: %w", namespace, err)
	}
	b.full[namespace] = count
	return nil
}

// fillPods makes a namespace have count pods.
func (b *bed) fillPods(ctx context.Context, namespace string, count int) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	if err := b.clients[0].Prepare(ctx, namespace); err != nil {
		return fmt.Errorf("prepare namespace %s: %w", namespace, err)
	}
	err := b.load(ctx, count, func(ctx context.Context, c Client, chunk []int) error {
		var made []*corev1.Pod
		for _, i := range chunk {
			made = append(made, pod(namespace, i))
		}
		return c.LoadPods(ctx, made)
	})
	if err != nil {
		return fmt.Errorf("fill namespace %s with pods: %w", namespace, err)
	}
	return nil
}

// load has load store the objects from 0 to count in batches, some at a time.
func (b *bed) load(ctx context.Context, count int, load func(ctx context.Context, c Client, chunk []int) error) error {
	objects := make([]int, count)
	for i := range objects {
		objects[i] = i
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loaders)
	for chunk := range slices.Chunk(objects, loadBatch) {
		group.Go(func() error { return load(ctx, b.client(chunk[0]/loadBatch), chunk) })
	}
	return group.Wait()
}

// generate runs the generator with the options' times.
func (b *bed) generate(ctx context.Context, callers int, op func(ctx context.Context, caller, n int) error) (outcome, error) {
	var members, client time.Duration
	g := load.Generator{
		Callers: callers, Warmup: b.options.Warmup, Duration: b.options.Duration,
		Begins: func() {
			members, client = b.used(), process.Own()
			b.profile()
		},
		Ends: func() {
			b.profile()
			b.account()
			members, client = b.used()-members, process.Own()-client
		},
	}
	o, err := g.Run(ctx, op)
	if err == nil && len(o.Latencies) == 0 {
		err = fmt.Errorf("no call took less than the %v measured; give a longer -duration", b.options.Duration)
	}
	return outcome{o, members, client}, err
}

// used is the processor time of all members.
func (b *bed) used() time.Duration {
	var sum time.Duration
	for i := range b.Members() {
		sum += b.Process(i).Used()
	}
	return sum
}

// profile has a store that can profile itself do so, when called for the first
// time, and end that, when called again.
func (b *bed) profile() {
	type profiler interface{ Profile() }
	if p, is := b.Cluster.(profiler); is && b.options.Profile {
		p.Profile()
	}
}

// account has a store that can say what its memory is for write that down.
func (b *bed) account() {
	type accountant interface{ Account() }
	if a, is := b.Cluster.(accountant); is && b.options.Profile {
		a.Account()
	}
}

// putter returns an operation that puts objects of 1 KiB over those of a
// namespace. Each caller has objects of its own.
func (b *bed) putter(namespace string, callers int) func(ctx context.Context, caller, n int) error {
	own := b.full[namespace] / callers
	version := b.version
	b.version += 1 << 32
	return func(ctx context.Context, caller, n int) error {
		o := object(namespace, name(caller*own+n*stride%own), objectSize, version+uint64(caller)<<20+uint64(n))
		return b.client(caller).Put(ctx, o)
	}
}
