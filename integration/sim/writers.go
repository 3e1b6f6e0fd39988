package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

// writeInterval is the pause of a writer.
const writeInterval = 20 * time.Millisecond

// Writers create ConfigMaps all the time and remember which were acknowledged.
type Writers struct {
	cluster *Cluster
	running []*process

	mu    sync.Mutex
	names []string
	times []time.Time
}

// Write starts n writers, each with a client of its own that writes
// fifty times a second.
func (c *Cluster) Write(n int) *Writers {
	w := &Writers{cluster: c}
	for i := range n {
		w.running = append(w.running, run(func(ctx context.Context) error { return w.run(ctx, i) }))
	}
	return w
}

func (w *Writers) run(ctx context.Context, writer int) error {
	client := w.cluster.newAdmin()
	defer func() { _ = client.Close() }()
	for i := 0; ctx.Err() == nil; i++ {
		w.write(ctx, client, fmt.Sprintf("w%d-%d", writer, i))
		select {
		case <-time.After(writeInterval):
		case <-ctx.Done():
		}
	}
	return nil
}

// write tries a name until it is known to be stored: one that exists after an
// unknown outcome was stored by the try before.
func (w *Writers) write(ctx context.Context, client *sdk.Client, name string) {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"k": name}}
	for ctx.Err() == nil {
		_, err := sdk.Create(ctx, client, object)
		if err == nil || apierrors.IsAlreadyExists(err) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.names, w.times = append(w.names, name), append(w.times, time.Now())
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// Await waits until n more writes are acknowledged.
func (w *Writers) Await(n int) {
	w.cluster.t.Helper()
	target := w.count() + n
	w.cluster.Eventually(readyTime, func(context.Context) error {
		if got := w.count(); got < target {
			return fmt.Errorf("%d of %d writes are acknowledged", got, target)
		}
		return nil
	})
}

func (w *Writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.names)
}

// Stop ends the writers.
func (w *Writers) Stop() {
	for _, p := range w.running {
		_ = p.stop()
	}
	w.running = nil
}

// Gap is the longest time in which nothing was acknowledged.
func (w *Writers) Gap() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest time.Duration
	for i := 1; i < len(w.times); i++ {
		longest = max(longest, w.times[i].Sub(w.times[i-1]))
	}
	return longest
}

// CheckKept fails the test if an acknowledged write is not there.
func (w *Writers) CheckKept() {
	c := w.cluster
	c.t.Helper()
	w.mu.Lock()
	names := append([]string(nil), w.names...)
	w.mu.Unlock()
	stored := map[string]bool{}
	c.Eventually(readyTime, func(ctx context.Context) error {
		page, err := sdk.List[*corev1.ConfigMap](ctx, c.Client, sdk.ListOptions{Namespace: "default"})
		if err != nil {
			return err
		}
		for _, m := range page.Items {
			stored[m.Name] = m.Data["k"] == m.Name
		}
		return nil
	})
	for _, name := range names {
		if !stored[name] {
			c.t.Errorf("the acknowledged write %s is lost", name)
		}
	}
}
