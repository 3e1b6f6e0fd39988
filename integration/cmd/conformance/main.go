// Command conformance runs Kubernetes' conformance suite against a cluster and
// prints how each spec ended. `make conformance` makes the suite, its images and
// the cluster first.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/musterhq/muster/integration/conformance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o, err := options()
	if err != nil {
		return err
	}
	specs, err := conformance.Run(ctx, o)
	if err != nil {
		return err
	}
	summary, err := os.Create(filepath.Join(o.Dir, "summary.txt"))
	if err != nil {
		return err
	}
	defer summary.Close()
	if err := conformance.Summarize(io.MultiWriter(os.Stdout, summary), specs); err != nil {
		return err
	}
	return conformance.Conformant(specs)
}

func options() (conformance.Options, error) {
	var o conformance.Options
	flag.StringVar(&o.Suite, "suite", "build/conformance/e2e.test", "the suite, built by scripts/conformance")
	flag.StringVar(&o.Kubectl, "kubectl", "bin/kubectl", "the kubectl that the suite calls")
	flag.StringVar(&o.Kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "`file` that says where the cluster is")
	flag.StringVar(&o.Dir, "out", "build/conformance", "`directory` for report.json, suite.log and summary.txt")
	flag.DurationVar(&o.Timeout, "timeout", 3*time.Hour, "end the run by then")
	focus := flag.String("focus", "", "run specs whose names match this regular `expression`")
	all := flag.Bool("all", false, "run those of skips.txt, too")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("arguments %q; see -help", flag.Args())
	}
	expression, err := regexp.Compile(*focus)
	if err != nil {
		return o, fmt.Errorf("-focus: %w", err)
	}
	o.Focus = expression
	if !*all {
		o.Skips, err = conformance.Skips()
	}
	return o, err
}
