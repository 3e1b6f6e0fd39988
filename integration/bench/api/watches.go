package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/musterhq/muster/integration/bench/report"
)

// watchedRate is how many objects are created a second.
const watchedRate = 20

// watches measures the time from the call that creates a ConfigMap to its event at
// each of so many watchers.
func watches(watchers int, p50, p99 float64) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		clients, err := b.clients(asProtobuf)
		if err != nil {
			return nil, err
		}
		namespace, err := b.namespace(ctx, clients[0])
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		count := int(b.options.Duration.Seconds() * watchedRate)
		begun := &beginnings{at: make(map[string]time.Time, count)}
		seen := make([][]time.Duration, watchers)
		group, ctx := errgroup.WithContext(ctx)
		for i := range watchers {
			w, err := clients[i%len(clients)].CoreV1().ConfigMaps(namespace).Watch(ctx, metav1.ListOptions{})
			if err != nil {
				return nil, err
			}
			group.Go(func() error {
				defer w.Stop()
				seen[i], err = follow(ctx, w, begun, count)
				return err
			})
		}
		used := b.used()
		group.Go(func() error {
			noise, tick := rand.NewChaCha8([32]byte{}), time.NewTicker(time.Second/watchedRate)
			defer tick.Stop()
			for i := range count {
				<-tick.C
				object := configMap(fmt.Sprintf("w%d", i), noise)
				begun.mark(object.Name)
				if _, err := clients[0].CoreV1().ConfigMaps(namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err := group.Wait(); err != nil {
			return nil, err
		}
		var all []time.Duration
		for _, s := range seen {
			all = append(all, s...)
		}
		return []Figure{
			{Suffix: "/p50", Unit: "ms", Value: report.Quantile(all, 0.5), Kubernetes: p50},
			{Suffix: "/p99", Unit: "ms", Value: report.Quantile(all, 0.99), Kubernetes: p99},
			{Suffix: "/cpu-per-event", Unit: "ms", Value: (b.used() - used).Seconds() * 1e3 / float64(len(all))},
		}, nil
	}
}

// beginnings are when the calls were made, by name.
type beginnings struct {
	sync.Mutex
	at map[string]time.Time
}

func (b *beginnings) mark(name string) {
	b.Lock()
	defer b.Unlock()
	b.at[name] = time.Now()
}

func (b *beginnings) of(name string) (time.Time, bool) {
	b.Lock()
	defer b.Unlock()
	at, ok := b.at[name]
	return at, ok
}

// follow returns how long after its call each event came, for so many of them.
func follow(ctx context.Context, w watch.Interface, begun *beginnings, count int) ([]time.Duration, error) {
	var out []time.Duration
	for len(out) < count {
		select {
		case e, open := <-w.ResultChan():
			now := time.Now()
			object, ok := e.Object.(*corev1.ConfigMap)
			if !open || !ok {
				return nil, fmt.Errorf("the watch ended after %d events with %v", len(out), e.Object)
			}
			if at, ours := begun.of(object.Name); ours {
				out = append(out, now.Sub(at))
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return out, nil
}
