package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
)

// Strict are writers that do not try again: each write is to succeed.
type Strict struct {
	running []*process

	mu      sync.Mutex
	written int
	longest time.Duration
	errs    []error
}

// WriteStrictly starts n writers, each with a client of its own that pauses after
// each write. They write through the given servers, in this order of preference,
// or through all.
func (c *Cluster) WriteStrictly(n int, pause time.Duration, through ...*Server) *Strict {
	if len(through) == 0 {
		through = c.Servers
	}
	s := &Strict{}
	for i := range n {
		// Each begins with another server.
		order := append(append([]*Server(nil), through[i%len(through):]...), through[:i%len(through)]...)
		s.running = append(s.running, run(func(ctx context.Context) error { return s.run(ctx, c, i, pause, order) }))
	}
	return s
}

func (s *Strict) run(ctx context.Context, c *Cluster, writer int, pause time.Duration, through []*Server) error {
	client := c.client(clientHost, pki.AdminIdentity(), through...)
	defer func() { _ = client.Close() }()
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("strict-%d-%d", writer, n)
		began := time.Now()
		_, err := sdk.Create(context.WithoutCancel(ctx), client, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
		s.note(name, err, time.Since(began))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	return nil
}

func (s *Strict) note(name string, err error, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.longest = max(s.longest, took)
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", name, err))
		return
	}
	s.written++
}

// Stop ends the writers and returns how many writes there were, how long the
// longest took and what failed.
func (s *Strict) Stop() (written int, longest time.Duration, errs []error) {
	for _, p := range s.running {
		if err := p.stop(); err != nil {
			errs = append(errs, err)
		}
	}
	return s.written, s.longest, append(errs, s.errs...)
}
