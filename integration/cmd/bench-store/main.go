// Command bench-store measures Muster's replicated store and etcd's side by side.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"slices"
	"syscall"
	"time"

	"github.com/musterhq/muster/integration/bench/store"
	"github.com/musterhq/muster/integration/bench/store/etcd"
	"github.com/musterhq/muster/integration/bench/store/muster"
	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/internal/timerslack"
)

// memberCommand is this command's first argument where it is a member.
const memberCommand = "member"

// settings are the command line.
type settings struct {
	run     *regexp.Regexp
	growth  bool
	sizes   []int
	options store.Options
}

func main() {
	member := len(os.Args) == 3 && os.Args[1] == memberCommand
	if member { // as `muster server` does
		if err := timerslack.Relax(); err != nil {
			fmt.Fprintln(os.Stderr, "bench-store:", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if member {
		err = muster.RunMember(context.Background(), os.Args[2])
	} else {
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-store:", err)
		os.Exit(1)
	}
}

func parse() (settings, error) {
	var s settings
	pattern := flag.String("run", "", "measure the cases that match this regular `expression`, such as put/members=3/callers=64$")
	flag.BoolVar(&s.growth, "growth", false, "measure how the figures grow with the objects instead, and plot them")
	counts := flag.String("sizes", "10000,100000,1000000", "counts of objects for -growth")
	flag.IntVar(&s.options.Rounds, "rounds", 3, "rounds of each case, whose median counts")
	flag.IntVar(&s.options.Kills, "kills", 20, "leaders to kill")
	flag.DurationVar(&s.options.Duration, "duration", 3*time.Second, "time to measure each case in each round")
	flag.DurationVar(&s.options.Warmup, "warmup", 0, "time to run before that; 1s, and 12s with -growth, if not given")
	flag.IntVar(&s.options.Connections, "connections", 2, "connections to each member")
	flag.BoolVar(&s.options.Profile, "profile", false, "keep CPU profiles of Muster's members, and of the generator, below build/bench/store")
	flag.Parse()
	s.options.Progress = os.Stderr
	if s.options.Warmup == 0 {
		s.options.Warmup = time.Second
		if s.growth { // what was given back to the kernel after the fill is taken again first
			s.options.Warmup = 12 * time.Second
		}
	}
	if flag.NArg() > 0 || s.options.Rounds < 1 || s.options.Kills < 1 || s.options.Connections < 1 || s.options.Duration <= 0 {
		return s, fmt.Errorf("arguments %q, or a flag that is too small; see -help", flag.Args())
	}
	var err error
	if s.run, err = regexp.Compile(*pattern); err != nil {
		return s, fmt.Errorf("-run: %w", err)
	}
	s.sizes, err = sizes(*counts)
	return s, err
}

func run(ctx context.Context) error {
	s, err := parse()
	if err != nil {
		return err
	}
	out := filepath.Join(harness.Root(), "build", "bench")
	s.options.Dir = filepath.Join(out, "store")
	if err := os.MkdirAll(s.options.Dir, 0o755); err != nil {
		return err
	}
	pair, err := makers(s.options.Profile)
	if err != nil {
		return err
	}
	cases := store.Cases()
	if s.growth {
		cases = growthCases(s.sizes)
	}
	cases = slices.DeleteFunc(cases, func(c store.Case) bool { return !s.run.MatchString(c.Name) })
	if len(cases) == 0 {
		return fmt.Errorf("no case matches -run %s", s.run)
	}
	if s.options.Profile {
		file, err := os.Create(filepath.Join(s.options.Dir, "client.pprof"))
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	rows, err := store.Run(ctx, pair, cases, s.options)
	if err != nil {
		return err
	}
	return s.finish(out, pair, rows)
}

// makers are Muster and etcd, at loopback addresses that no other run uses.
func makers(profile bool) (store.Pair, error) {
	self, err := os.Executable()
	if err != nil {
		return store.Pair{}, err
	}
	at := func(store int) func(int) string {
		return func(member int) string {
			pid := os.Getpid()
			return fmt.Sprintf("127.%d.%d.%d", 64+pid>>8&63, pid&255, 10*store+member+1)
		}
	}
	return store.Pair{
		Store: muster.Maker{Address: at(0), Command: []string{self, memberCommand}, Profile: profile},
		Peer:  etcd.Maker{Address: at(1)},
	}, nil
}
