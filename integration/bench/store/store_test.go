package store_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/integration/bench/process"
	"github.com/musterhq/muster/integration/bench/report"
	"github.com/musterhq/muster/integration/bench/store"
)

// fake is a store whose calls take a fixed time each, however many there are.
type fake struct {
	name     string
	put, get time.Duration
	refuse   error
	clusters int
}

func (f *fake) Name() string { return f.name }

func (f *fake) New(context.Context, string, int) (store.Cluster, error) {
	f.clusters++
	return cluster{f}, nil
}

type cluster struct{ *fake }

func (c cluster) Members() int                        { return 3 }
func (c cluster) Process(int) *process.Process        { return nil }
func (c cluster) Start(context.Context, int) error    { return nil }
func (c cluster) Leader(context.Context) (int, error) { return 0, nil }
func (c cluster) Dial(...int) (store.Client, error)   { return client(c), nil }
func (c cluster) Close()                              {}

type client struct{ *fake }

func (c client) Prepare(context.Context, string) error                            { return nil }
func (c client) Load(context.Context, []*corev1.ConfigMap) error                  { return nil }
func (c client) List(context.Context, string, int) (int, error)                   { return 0, nil }
func (c client) LoadPods(context.Context, []*corev1.Pod) error                    { return nil }
func (c client) Tidy(context.Context) error                                       { return nil }
func (c client) Close() error                                                     { return nil }
func (c client) Watch(ctx context.Context, _ string, _ func(), _ func(int)) error { return nil }

func (c client) Put(context.Context, *corev1.ConfigMap) error {
	time.Sleep(c.put)
	return c.refuse
}

func (c client) Get(context.Context, string, string) error {
	time.Sleep(c.get)
	return nil
}

var options = store.Options{Rounds: 3, Kills: 1, Warmup: time.Second, Duration: 2 * time.Second, Connections: 1, Progress: io.Discard}

func chosen(t *testing.T, names ...string) []store.Case {
	t.Helper()
	var out []store.Case
	for _, name := range names {
		for _, c := range store.Cases() {
			if c.Name == name {
				out = append(out, c)
			}
		}
	}
	if len(out) != len(names) {
		t.Fatalf("%d cases of %q", len(out), names)
	}
	return out
}

// TestRun compares two stores whose speed is known, in virtual time.
func TestRun(t *testing.T) {
	options := options
	options.Dir = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		quick := &fake{name: "quick", put: 5 * time.Millisecond, get: time.Millisecond}
		slow := &fake{name: "slow", put: 10 * time.Millisecond, get: time.Millisecond}
		rows, err := store.Run(t.Context(), store.Pair{Store: quick, Peer: slow},
			chosen(t, "put/members=3/callers=16", "get/members=3/callers=1"), options)
		if err != nil {
			t.Fatal(err)
		}
		want := []struct {
			name        string
			value, peer float64
		}{
			{"put/members=3/callers=16", 3200, 1600}, {"put/members=3/callers=16/p99", 5, 10},
			{"get/members=3/callers=1", 1000, 1000}, {"get/members=3/callers=1/p99", 1, 1},
		}
		rows = slices.DeleteFunc(rows, func(r report.Row) bool { return strings.HasSuffix(r.Name, "cpu") })
		if len(rows) != len(want) {
			t.Fatalf("%d rows: %v", len(rows), rows)
		}
		for i, w := range want {
			r := rows[i]
			// The calls at the ends of the time measured do not count.
			if r.Name != w.name || r.Value > w.value || r.Value < 0.98*w.value || r.Peer > w.peer || r.Peer < 0.98*w.peer {
				t.Errorf("%+v, want %+v", r, w)
			}
		}
		if quick.clusters != 1 || slow.clusters != 1 {
			t.Errorf("%d and %d clusters were started, want one each", quick.clusters, slow.clusters)
		}
	})
}

// TestRunRefused sees that a call that is refused is no measured call.
func TestRunRefused(t *testing.T) {
	options := options
	options.Dir = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		refuse := errors.New("no leader")
		pair := store.Pair{Store: &fake{name: "good", put: time.Millisecond}, Peer: &fake{name: "bad", put: time.Millisecond, refuse: refuse}}
		_, err := store.Run(t.Context(), pair, chosen(t, "put/members=3/callers=16"), options)
		if !errors.Is(err, refuse) {
			t.Errorf("error %v, want %v", err, refuse)
		}
	})
}

// TestNames holds the names of the cases together: figures are compared by them
// from one run to the next.
func TestNames(t *testing.T) {
	for _, cases := range [][]store.Case{store.Cases(), append(store.GrowthCases(10_000), store.GrowthCases(100_000)...)} {
		seen := map[string]bool{}
		for _, c := range cases {
			if seen[c.Name] {
				t.Errorf("two cases %s", c.Name)
			}
			seen[c.Name] = true
		}
	}
}
