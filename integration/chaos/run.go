package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/integration/linear"
	"github.com/musterhq/muster/sdk"
)

// ranges are the namespaces that are worked in.
var ranges = []string{"chaos-a", "chaos-b"}

// recoveryTime is how long a cluster may take, once all is mended, until every
// member serves and every watcher has come to the end.
const recoveryTime = time.Minute

// Options say what one run is.
type Options struct {
	// Seed determines the faults and what each worker draws.
	Seed uint64
	// Name marks the keys of this run; keys of others are left alone.
	Name string
	// Length of the run, without the recovery.
	Length time.Duration
	// Workers are clients that write and read.
	Workers int
	// Pause is the longest that a worker waits between two requests.
	Pause time.Duration
	// Allowed says which kinds of faults this cluster can have; nil allows all.
	Allowed func(kind string) bool
	// Log tells of faults; nil tells nobody.
	Log func(format string, args ...any)
	// Progress is told the figures so far every ProgressInterval; nil is not.
	Progress func(Stats)
}

// ProgressInterval is how often progress is told.
const ProgressInterval = 5 * time.Second

// Result is what a run saw.
type Result struct {
	History linear.History
	Stats
	// Failures are promises broken that are not in the history: a member that
	// did not come back, a watcher that did not come to the end.
	Failures []string
}

// run is one run under way.
type run struct {
	cluster  Cluster
	options  Options
	name     string
	keys     []string
	recorder linear.Recorder
	admin    *sdk.Client
	watchers []*watcher
	tally
}

// Run works on a cluster and breaks it. An error says that the run could not be
// made; what the cluster did wrong is in the result, and in its history. When ctx
// ends, the run ends early, with all mended.
func Run(ctx context.Context, cluster Cluster, o Options) (*Result, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Allowed == nil {
		o.Allowed = func(string) bool { return true }
	}
	admin, err := cluster.Dial()
	if err != nil {
		return nil, err
	}
	defer func() { _ = admin.Close() }()
	r := &run{cluster: cluster, options: o, name: o.Name, admin: admin, tally: newTally()}
	for _, namespace := range ranges {
		for i := range 3 {
			r.keys = append(r.keys, fmt.Sprintf("%s/%s-k%d", namespace, o.Name, i))
		}
	}
	result := &Result{}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.all(ctx, result); err != nil {
		return nil, err
	}
	return result, nil
}

// prepare makes the namespaces, and takes the keys of earlier runs away.
func (r *run) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoveryTime)
	defer cancel()
	for _, namespace := range ranges {
		if err := r.insist(ctx, func(ctx context.Context) error {
			_, err := sdk.Create(ctx, r.admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		}); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		if err := r.insist(ctx, func(ctx context.Context) error { return r.clear(ctx, namespace) }); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	return nil
}

func (r *run) clear(ctx context.Context, namespace string) error {
	page, err := sdk.List[*corev1.ConfigMap](ctx, r.admin, sdk.ListOptions{Namespace: namespace, LabelSelector: label})
	if err != nil {
		return err
	}
	for _, m := range page.Items {
		if err := sdk.Delete[*corev1.ConfigMap](ctx, r.admin, namespace, m.Name, sdk.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// insist repeats f until it succeeds or ctx ends.
func (r *run) insist(ctx context.Context, f func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := f(attempt)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// all starts watchers, then workers, then breaks and mends; then everybody comes
// to an end in the opposite order.
func (r *run) all(ctx context.Context, result *Result) error {
	life, stopWatchers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatchers()
	var following, working errgroup.Group
	for i := range 6 {
		w := &watcher{run: r, rand: r.rand(1000 + uint64(i)), hops: i%3 != 0}
		w.watch = linear.Watch{Name: fmt.Sprint("w", i), Range: ranges[i%len(ranges)]}
		if i > 3 {
			w.selector = label
		}
		r.watchers = append(r.watchers, w)
		following.Go(func() error { return w.follow(life) })
	}
	if err := r.awaitWatchers(ctx, func(*watcher) uint64 { return 1 }); err != nil {
		stopWatchers()
		return errors.Join(err, following.Wait())
	}
	stop := make(chan struct{})
	for i := range r.options.Workers {
		w := r.worker(i)
		working.Go(func() error { return w.work(stop) })
	}
	working.Go(func() error { return r.expire(stop) })
	if r.options.Progress != nil {
		working.Go(func() error { return r.progress(stop) })
	}
	faults := plan(r.rand(1), r.options.Length, r.possible)
	b := newBreaker(r.cluster, r, r.options.Log, r.began)
	if err := b.run(ctx, faults); err != nil {
		r.fail("%v", err)
	}
	r.recover(context.WithoutCancel(ctx))
	close(stop)
	err := working.Wait()
	until := r.finish(context.WithoutCancel(ctx))
	stopWatchers()
	err = errors.Join(err, following.Wait())
	r.result(result, until)
	return err
}

// possible tells whether this cluster can have a kind of fault.
func (r *run) possible(kind string) bool {
	if _, has := r.cluster.(Clocks); kind == MoveClock && !has {
		return false
	}
	if _, has := r.cluster.(Disks); kind == HangDisk && !has {
		return false
	}
	return r.options.Allowed(kind)
}

// expire keeps making objects that expire. Nobody follows them: what matters is
// that taking them away, by clocks that are wrong, harms nobody else.
func (r *run) expire(stop <-chan struct{}) error {
	client, err := r.cluster.Dial()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-stop:
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, _ = sdk.Create(ctx, client, &corev1.Event{ // it may well fail
			ObjectMeta:     metav1.ObjectMeta{Namespace: ranges[0], Name: fmt.Sprintf("%s.%d", r.name, n)},
			InvolvedObject: corev1.ObjectReference{Kind: "ConfigMap", Namespace: ranges[0], Name: r.name},
		})
		cancel()
	}
}

func (r *run) progress(stop <-chan struct{}) error {
	tick := time.NewTicker(ProgressInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.options.Progress(r.sum(nil))
		case <-stop:
			return nil
		}
	}
}

func (r *run) rand(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(r.options.Seed, stream)) }

func (r *run) worker(i int) *worker {
	return &worker{run: r, number: i, rand: r.rand(2000 + uint64(i)), known: map[string]linear.Item{}}
}
