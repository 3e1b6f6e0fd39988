package sim

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

// Writers create ConfigMaps all the time and remember which were acknowledged.
type Writers struct {
	cluster *Cluster
	count   int
	pause   time.Duration
	next    atomic.Int64 // number of the next object
	running []*process

	mu    sync.Mutex
	names []string
	times []time.Time
}

// Write starts n writers, each with a client of its own that pauses
// after each write.
func (c *Cluster) Write(n int, pause time.Duration) *Writers {
	w := &Writers{cluster: c, count: n, pause: pause}
	c.writers = append(c.writers, w)
	w.Start()
	return w
}

// Start lets them go on after Stop.
func (w *Writers) Start() {
	for range w.count {
		w.running = append(w.running, run(w.run))
	}
}

func (w *Writers) run(ctx context.Context) error {
	client := w.cluster.newAdmin()
	defer func() { _ = client.Close() }()
	for ctx.Err() == nil {
		w.write(ctx, client, fmt.Sprintf("w%d", w.next.Add(1)))
		select {
		case <-time.After(w.pause):
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
	target := w.acknowledged() + n
	w.cluster.Eventually(readyTime, func(context.Context) error {
		if got := w.acknowledged(); got < target {
			return fmt.Errorf("%d of %d writes are acknowledged", got, target)
		}
		return nil
	})
}

func (w *Writers) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.names)
}

// Stop ends the writers.
func (w *Writers) Stop() {
	for _, p := range w.running {
		if err := p.stop(); err != nil {
			w.cluster.t.Error(err)
		}
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
