// Package api measures the Kubernetes API of real servers with client-go, by the
// rows that were measured of Kubernetes itself on such a machine.
package api

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/musterhq/muster/integration/bench/load"
	"github.com/musterhq/muster/integration/bench/process"
	"github.com/musterhq/muster/integration/bench/report"
)

// Options of a run.
type Options struct {
	// Rounds of each case, whose median counts.
	Rounds int
	// Warmup is the time to run before measuring begins, Duration that of measuring.
	Warmup, Duration time.Duration
	// Progress is told of each case.
	Progress io.Writer
}

// Case is something that is measured on a cluster of its own or, where cases
// follow each other that say the same of it, on one of them all.
type Case struct {
	Name    string
	Members int
	// Nodes that run pods.
	Nodes int
	// Alone says that the cluster is of no use to others before or after.
	Alone bool
	// Once says that one round has to do, because it takes minutes.
	Once bool

	measure measure
}

// measure measures a case.
type measure func(ctx context.Context, b *bed) ([]Figure, error)

// Figure is one number of a case.
type Figure struct {
	// Suffix to the case's name.
	Suffix string
	Unit   string
	Value  float64
	// Kubernetes is its figure for the same, or 0.
	Kubernetes float64
}

// bed is the cluster that cases are measured on.
type bed struct {
	*cluster
	options Options
	runs    int // to name what a case creates
}

// Run measures the cases and returns the median of each figure.
func Run(ctx context.Context, cases []Case, o Options) ([]report.Row, error) {
	values := map[string][]float64{}
	var order []report.Row
	for round := range o.Rounds {
		for group := range together(cases, round) {
			err := on(ctx, group[0], o, func(b *bed) error {
				for _, c := range group {
					fmt.Fprintf(o.Progress, "round %d of %d: %s\n", round+1, o.Rounds, c.Name)
					figures, err := c.measure(ctx, b)
					if err != nil {
						return fmt.Errorf("%s: %w", c.Name, err)
					}
					for _, f := range figures {
						name := c.Name + f.Suffix
						if _, known := values[name]; !known {
							order = append(order, report.Row{Name: name, Unit: f.Unit, Peer: f.Kubernetes})
						}
						values[name] = append(values[name], f.Value)
					}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	for i, r := range order {
		all := slices.Sorted(slices.Values(values[r.Name]))
		order[i] = report.New(r.Name, all[len(all)/2], r.Unit, r.Peer)
	}
	return order, nil
}

// together yields the cases of a round that follow each other and share a cluster.
func together(cases []Case, round int) iter.Seq[[]Case] {
	if round > 0 {
		cases = slices.DeleteFunc(slices.Clone(cases), func(c Case) bool { return c.Once })
	}
	return func(yield func([]Case) bool) {
		for len(cases) > 0 {
			n := 1
			for n < len(cases) && !cases[0].Alone && !cases[n].Alone && cases[n].Members == cases[0].Members {
				n++
			}
			if !yield(cases[:n]) {
				return
			}
			cases = cases[n:]
		}
	}
}

// on starts a cluster, has use use it and removes it.
func on(ctx context.Context, of Case, o Options, use func(*bed) error) (err error) {
	dir, err := os.MkdirTemp("/var/tmp", "muster-bench-api-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c, err := start(ctx, dir, of.Members, of.Nodes)
	if err != nil {
		return err
	}
	defer func() {
		if e := c.stop(); err == nil {
			err = e
		}
	}()
	return use(&bed{cluster: c, options: o})
}

// outcome is what was measured of calls.
type outcome struct {
	load.Outcome
	servers, client time.Duration // processor time
}

func (b *bed) generate(ctx context.Context, callers int, op func(ctx context.Context, caller, n int) error) (outcome, error) {
	var o outcome
	var err error
	o.Outcome, err = load.Generator{
		Callers: callers, Warmup: b.options.Warmup, Duration: b.options.Duration,
		Begins: func() { o.servers, o.client = b.used(), process.Own() },
		Ends:   func() { o.servers, o.client = b.used()-o.servers, process.Own()-o.client },
	}.Run(ctx, op)
	if err == nil && len(o.Latencies) == 0 {
		err = fmt.Errorf("no call took less than the %v measured; give a longer -duration", b.options.Duration)
	}
	return o, err
}

// peer is what Kubernetes has for a case of calls: calls a second, the 99th
// percentile in ms and processor time for each in µs; 0 is not measured.
type peer struct{ perSecond, p99, cpu float64 }

func (o outcome) figures(k peer) []Figure {
	calls := float64(len(o.Latencies))
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / calls }
	return []Figure{
		{Unit: "/s", Value: o.PerSecond, Kubernetes: k.perSecond},
		{Suffix: "/p50", Unit: "ms", Value: report.Quantile(o.Latencies, 0.5)},
		{Suffix: "/p99", Unit: "ms", Value: report.Quantile(o.Latencies, 0.99), Kubernetes: k.p99},
		{Suffix: "/cpu", Unit: "us", Value: each(o.servers), Kubernetes: k.cpu},
		{Suffix: "/client-cpu", Unit: "us", Value: each(o.client)},
	}
}
