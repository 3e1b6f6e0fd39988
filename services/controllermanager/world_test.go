package controllermanager_test

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
	"github.com/musterhq/muster/services/controllermanager"
)

// world is a cluster in virtual time: a server, controller managers, a crude
// scheduler and crude agents.
type world struct {
	t       *testing.T
	ctx     context.Context
	cluster *sdktest.Cluster
	client  *sdk.Client
	running sync.WaitGroup

	mu     sync.Mutex
	agents map[string]*agent // by address
	placed int
}

// inWorld runs a test in a bubble; everything is stopped at its end.
func inWorld(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cluster := sdktest.New(t)
		w := &world{t: t, ctx: ctx, cluster: cluster, client: cluster.Client(t), agents: map[string]*agent{}}
		w.running.Go(func() { w.live(ctx) })
		t.Cleanup(func() {
			cancel()
			for _, a := range w.agents {
				a.server.Stop()
			}
			w.running.Wait()
		})
		test(w)
	})
}

// manage runs a controller manager until the returned function is called.
func (w *world) manage(identity string) (m *controllermanager.Manager, stop func()) {
	w.t.Helper()
	cfg := controllermanager.Config{
		Client: w.client, Identity: identity, PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), RootCA: []byte("a certificate"),
		ProbeDial: w.dial, TrackMutations: true,
	}
	if testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	m, err := controllermanager.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	w.running.Go(func() {
		defer close(done)
		if err := m.Run(ctx); err != nil {
			w.t.Errorf("manager %s: %v", identity, err)
		}
		if bad := m.Modified(); len(bad) > 0 {
			w.t.Errorf("cached objects were modified: %v", bad)
		}
	})
	return m, func() { cancel(); <-done }
}

// create stores an object; the test ends when it cannot.
func create[T sdk.Object](w *world, obj T) T {
	w.t.Helper()
	out, err := sdk.Create(w.ctx, w.client, obj)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// get reads an object; the test ends when it cannot.
func get[T sdk.Object](w *world, name string) T {
	w.t.Helper()
	var obj T
	namespace := "default"
	if _, node := any(obj).(*corev1.Node); node {
		namespace = ""
	}
	out, err := sdk.Get[T](w.ctx, w.client, namespace, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// change edits an object until nobody else was quicker.
func change[T sdk.Object](w *world, name string, edit func(T)) {
	w.t.Helper()
	for {
		obj := get[T](w, name)
		edit(obj)
		_, err := sdk.Update(w.ctx, w.client, obj)
		if err == nil {
			return
		}
	}
}

// list reads all objects of a type.
func list[T sdk.Object](w *world) []T {
	w.t.Helper()
	page, err := sdk.List[T](w.ctx, w.client, sdk.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Items
}

// within waits until ok holds, and fails when it does not in time. It returns
// how long that took.
func (w *world) within(d time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > d {
			w.t.Fatalf("not within %v: %s", d, what)
		}
		// Finer at first: what takes long need not be seen to the hundredth.
		time.Sleep(max(10*time.Millisecond, time.Since(begin)/50))
	}
	return time.Since(begin)
}
