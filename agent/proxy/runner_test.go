package proxy_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/agent/proxy"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is an Applier that notes when it was called.
type recorder struct {
	times []time.Duration
	start time.Time
	fail  atomic.Bool
}

func (r *recorder) Sync(context.Context, proxy.Rules) error {
	r.times = append(r.times, time.Since(r.start))
	if r.fail.Load() {
		return errors.New("no")
	}
	return nil
}
func (r *recorder) Cleanup(context.Context) error { return nil }
func (r *recorder) Mode() string                  { return "recorder" }

// run runs a Runner over the recorder in a bubble while act runs.
func run(t *testing.T, r *recorder, act func(*proxy.Runner)) {
	t.Helper()
	r.start = time.Now()
	runner, err := proxy.NewRunner(proxy.Config{Applier: r, Rules: func() proxy.Rules { return proxy.Rules{} }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()
	synctest.Wait()
	act(runner)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunnerCoalescesBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		run(t, r, func(runner *proxy.Runner) {
			for range 1000 {
				runner.Notify()
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond)
		})
		if n := len(r.times); n < 45 || n > 55 {
			t.Errorf("1,000 changes in a second made %d syncs, want about 50", n)
		}
	})
}

func TestRunnerResyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		run(t, r, func(*proxy.Runner) { time.Sleep(95 * time.Second) })
		if len(r.times) != 4 {
			t.Errorf("synced at %v, want at the start and every 30 s", r.times)
		}
	})
}

func TestRunnerRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		r.fail.Store(true)
		run(t, r, func(runner *proxy.Runner) {
			time.Sleep(time.Minute)
			synctest.Wait()
			select {
			case <-runner.Synced():
				t.Error("synced without success")
			default:
			}
			if n := len(r.times); n < 10 || n > 20 {
				t.Errorf("%d attempts in a minute: %v", n, r.times)
			}
			r.fail.Store(false)
			time.Sleep(11 * time.Second)
			<-runner.Synced()
		})
	})
}
