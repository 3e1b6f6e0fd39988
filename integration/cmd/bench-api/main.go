// Command bench-api measures the Kubernetes API of this machine's Muster with
// client-go, beside what Kubernetes itself was measured at.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"

	"github.com/musterhq/muster/integration/bench/api"
	"github.com/musterhq/muster/integration/bench/report"
	"github.com/musterhq/muster/integration/harness"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o := api.Options{Progress: os.Stderr}
	pattern := flag.String("run", "", "measure the cases that match this regular `expression`, such as create/members=1")
	flag.IntVar(&o.Rounds, "rounds", 3, "rounds of each case, whose median counts")
	flag.DurationVar(&o.Duration, "duration", 5*time.Second, "time to measure each case in each round")
	flag.DurationVar(&o.Warmup, "warmup", time.Second, "time to run before that")
	flag.Parse()
	if flag.NArg() > 0 || o.Rounds < 1 || o.Duration < time.Second {
		return fmt.Errorf("arguments %q, or a flag that is too small; see -help", flag.Args())
	}
	expression, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	cases := slices.DeleteFunc(api.Cases(), func(c api.Case) bool { return !expression.MatchString(c.Name) })
	if len(cases) == 0 {
		return fmt.Errorf("no case matches -run %s", expression)
	}
	if err := harness.RequireRoot(); err != nil {
		return err
	}
	rows, err := api.Run(ctx, cases, o)
	if err != nil {
		return err
	}
	fmt.Println("peer is Kubernetes 1.36 with etcd 3.6, as measured on such a machine; cpu is that of all servers for each call")
	return report.Write(os.Stdout, filepath.Join(harness.Root(), "build", "bench"), "api", rows)
}
