package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/musterhq/muster/integration/bench/report"
)

// Options say how to measure.
type Options struct {
	// Rounds of each case; the report has their median.
	Rounds int
	// Kills of a leader.
	Kills int
	// Warmup and Duration of what is measured by time.
	Warmup, Duration time.Duration
	// Connections to each member.
	Connections int
	// Profile has the store under test, if it can, profile itself while it is
	// measured.
	Profile bool
	// Dir for the members' data.
	Dir string
	// Progress is told what was measured.
	Progress io.Writer
}

// Pair are the stores that are compared.
type Pair struct{ Store, Peer Maker }

// results holds all values of a figure, those of the store and of its peer.
type results struct {
	units  map[string]string
	values map[string][2][]float64
	names  []string // in the order they came in
}

func newResults() *results {
	return &results{units: map[string]string{}, values: map[string][2][]float64{}}
}

func (r *results) add(which int, name string, f Figure) {
	if _, known := r.units[name]; !known {
		r.units[name] = f.Unit
		r.names = append(r.names, name)
	}
	v := r.values[name]
	v[which] = append(v[which], f.Value)
	r.values[name] = v
}

// row is a quantile of both stores' values.
func (r *results) row(name, suffix string, quantile float64) report.Row {
	v := r.values[name]
	return report.New(name+suffix, at(v[0], quantile), r.units[name], at(v[1], quantile))
}

func at(values []float64, quantile float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(quantile*float64(len(sorted)-1)+0.5)]
}

// Run measures cases on both stores in turn, round by round.
func Run(ctx context.Context, pair Pair, cases []Case, options Options) ([]report.Row, error) {
	var rows []report.Row
	for len(cases) > 0 {
		first := cases[0]
		n := slices.IndexFunc(cases, func(c Case) bool { return c.Group != first.Group || c.Members != first.Members })
		if n < 0 {
			n = len(cases)
		}
		got, err := runGroup(ctx, pair, cases[:n], options)
		rows = append(rows, got...)
		if err != nil {
			return rows, err
		}
		cases = cases[n:]
	}
	return rows, nil
}

func runGroup(ctx context.Context, pair Pair, cases []Case, options Options) ([]report.Row, error) {
	r := newResults()
	rounds := options.Rounds
	if cases[0].Kills {
		rounds = options.Kills
	}
	beds := &beds{pair: pair, members: cases[0].Members, options: options}
	defer beds.close()
	for round := range rounds {
		if cases[0].Fresh {
			beds.close()
		}
		for _, c := range cases {
			if c.Once && round > 0 {
				continue
			}
			if err := runCase(ctx, beds, c, round, r); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	var rows []report.Row
	for _, name := range r.names {
		if cases[0].Kills {
			rows = append(rows, r.row(name, "/p50", 0.5), r.row(name, "/max", 1))
		} else {
			rows = append(rows, r.row(name, "", 0.5))
		}
	}
	return rows, nil
}

// runCase measures one case once on both, each first in every other round.
func runCase(ctx context.Context, beds *beds, c Case, round int, r *results) error {
	order := []int{0, 1}
	if round%2 == 1 {
		order = []int{1, 0}
	}
	for _, which := range order {
		b, err := beds.get(ctx, which)
		if err != nil {
			return err
		}
		figures, err := c.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", beds.name(which), err)
		}
		for _, f := range figures {
			r.add(which, c.Name+f.Suffix, f)
			fmt.Fprintf(beds.options.Progress, "round %d  %-6s  %s  %.1f %s\n", round+1, beds.name(which), c.Name+f.Suffix, f.Value, f.Unit)
		}
		if err := b.clients[0].Tidy(ctx); err != nil {
			return fmt.Errorf("%s: tidy: %w", beds.name(which), err)
		}
	}
	return nil
}

// beds are a cluster of each store, started when they are needed.
type beds struct {
	pair    Pair
	members int
	options Options
	open    [2]*bed
	dirs    []string
}

func (b *beds) maker(which int) Maker { return [2]Maker{b.pair.Store, b.pair.Peer}[which] }
func (b *beds) name(which int) string { return b.maker(which).Name() }

func (b *beds) get(ctx context.Context, which int) (*bed, error) {
	if b.open[which] != nil {
		return b.open[which], nil
	}
	dir, err := os.MkdirTemp(b.options.Dir, b.name(which)+"-")
	if err != nil {
		return nil, err
	}
	b.dirs = append(b.dirs, dir)
	opened, err := newBed(ctx, b.maker(which), dir, b.members, b.options)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", b.name(which), err)
	}
	b.open[which] = opened
	return opened, nil
}

// close ends both clusters and removes what they kept, but for profiles.
func (b *beds) close() {
	for which, open := range b.open {
		if open != nil {
			open.close()
			b.open[which] = nil
		}
	}
	for _, dir := range b.dirs {
		if profiles, _ := filepath.Glob(filepath.Join(dir, "*", "*.pprof")); len(profiles) == 0 {
			_ = os.RemoveAll(dir) // what remains is below build
		}
	}
	b.dirs = nil
}
