package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/util/workqueue"
)

// RunnerConfig says what to run.
type RunnerConfig struct {
	// Controllers, each with a name of its own.
	Controllers []Controller
	// Caches that the controllers were made with. The runner does not run them.
	Caches *Caches
	// Workers per controller; 0 is 4.
	Workers int
	// BaseDelay and MaxDelay bound the back-off of a key that fails; 0 is 5 ms
	// and 1 minute.
	BaseDelay, MaxDelay time.Duration
	// Logger; nil discards.
	Logger *slog.Logger
}

// Runner reconciles for several controllers.
type Runner struct {
	cfg   RunnerConfig
	loops []*loop
}

// NewRunner checks the declarations: no name twice, and no output written by two
// controllers unless both declare it Shared. It makes the caches of all inputs.
func NewRunner(cfg RunnerConfig) (*Runner, error) {
	if cfg.Caches == nil {
		return nil, errors.New("controller runner: no caches given")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Workers == 0 {
		cfg.Workers = 4
	}
	if cfg.BaseDelay == 0 {
		cfg.BaseDelay = 5 * time.Millisecond
	}
	if cfg.MaxDelay == 0 {
		cfg.MaxDelay = time.Minute
	}
	if err := checkOutputs(cfg.Controllers); err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg}
	for _, c := range cfg.Controllers {
		l := &loop{controller: c, log: cfg.Logger.With("component", "controller", "controller", c.Name()), failing: map[Request]failure{}}
		for _, in := range c.Inputs() {
			in.prime(cfg.Caches)
			l.inputs = append(l.inputs, in)
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

func checkOutputs(controllers []Controller) error {
	names, writers := map[string]bool{}, map[string]string{}
	shared := map[string]bool{}
	for _, c := range controllers {
		if names[c.Name()] {
			return fmt.Errorf("controller runner: two controllers are named %q", c.Name())
		}
		names[c.Name()] = true
		for _, o := range c.Outputs() {
			out, isShared := strings.CutPrefix(o, sharedPrefix)
			if other, taken := writers[out]; taken && !(isShared && shared[out]) {
				return fmt.Errorf("controller runner: %q and %q both write %s, and do not both declare it shared", other, c.Name(), out)
			}
			writers[out], shared[out] = c.Name(), isShared
		}
	}
	return nil
}

// Run reconciles until ctx ends, and returns when every worker has stopped. The
// caches have to run meanwhile; it waits for them to be filled. It may be called
// again afterwards, for example when the process leads again.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.cfg.Caches.WaitSynced(ctx); err != nil {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range r.loops {
		g.Go(func() error { return l.run(ctx, r.cfg) })
	}
	return g.Wait()
}

// Stats tell how each controller does.
func (r *Runner) Stats() []Stats {
	out := make([]Stats, 0, len(r.loops))
	for _, l := range r.loops {
		out = append(out, l.snapshot())
	}
	return out
}

func (l *loop) run(ctx context.Context, cfg RunnerConfig) error {
	queue := workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[Request](cfg.BaseDelay, cfg.MaxDelay))
	l.begin(queue)
	defer l.end()
	for _, in := range l.inputs {
		defer in.attach(cfg.Caches, queue.Add)()
	}
	var g errgroup.Group
	for range cfg.Workers {
		g.Go(func() error { l.work(ctx, queue); return nil })
	}
	<-ctx.Done()
	queue.ShutDown()
	return g.Wait()
}

func (l *loop) work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[Request]) {
	for {
		req, stopped := queue.Get()
		if stopped {
			return
		}
		l.once(ctx, queue, req)
		queue.Done(req)
	}
}

func (l *loop) once(ctx context.Context, queue workqueue.TypedRateLimitingInterface[Request], req Request) {
	if ctx.Err() != nil {
		return
	}
	res, err := l.reconcile(ctx, req)
	switch {
	case err != nil && ctx.Err() != nil:
		return
	case err != nil:
		l.failed(req, err)
		queue.AddRateLimited(req)
	default:
		l.succeeded(req)
		queue.Forget(req)
		if res.RequeueAfter > 0 {
			queue.AddAfter(req, res.RequeueAfter)
		}
	}
}

// reconcile is the one place where a controller's panic is caught.
func (l *loop) reconcile(ctx context.Context, req Request) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			l.log.Error("reconcile panicked", "namespace", req.Namespace, "name", req.Name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return l.controller.Reconcile(ctx, req)
}
