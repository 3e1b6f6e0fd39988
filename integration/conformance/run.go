package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Options are what a run of the suite needs.
type Options struct {
	// Suite is the path of Kubernetes' e2e.test, Kubectl of a kubectl of its version.
	Suite, Kubectl, Kubeconfig string
	// Dir is where the run writes report.json, suite.log and summary.txt.
	Dir string
	// Focus is what names of specs must match.
	Focus *regexp.Regexp
	// Timeout ends the run; specs that were not reached are told.
	Timeout time.Duration
	Skips   []Skip
}

// grace is how long the suite may clean up after it was told to stop.
const grace = 2 * time.Minute

// Run runs the suite and returns how its conformance specs ended. Specs that fail
// are no error. Progress, a line for each spec, goes to the log in Dir.
func Run(ctx context.Context, o Options) ([]Spec, error) {
	log, err := os.Create(filepath.Join(o.Dir, "suite.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	report := filepath.Join(o.Dir, "report.json")
	if err := os.RemoveAll(report); err != nil {
		return nil, err
	}
	if err := o.run(ctx, log, report); err != nil {
		return nil, fmt.Errorf("run the suite (log: %s): %w", log.Name(), err)
	}
	file, err := os.Open(report)
	if err != nil {
		return nil, fmt.Errorf("the suite left no report, see %s: %w", log.Name(), err)
	}
	defer file.Close()
	return Read(file, o.Skips, o.Focus)
}

func (o Options) run(ctx context.Context, log io.Writer, report string) error {
	cmd := exec.CommandContext(ctx, o.Suite, o.arguments(report)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = grace
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return nil // that is how it says that a spec failed
	}
	return err
}

// arguments of the suite. Nodes of Muster run no system pods that could be waited
// for, and who has no cloud is the provider "skeleton".
func (o Options) arguments(report string) []string {
	args := []string{
		"--provider=skeleton", "--kubeconfig=" + o.Kubeconfig, "--kubectl-path=" + o.Kubectl,
		"--minStartupPods=0", "--allowed-not-ready-nodes=0", "--num-nodes=2", "--dump-logs-on-failure=false",
		"--ginkgo.label-filter=Conformance", "--ginkgo.focus=" + o.Focus.String(),
		"--ginkgo.timeout=" + o.Timeout.String(), "--ginkgo.json-report=" + report, "--ginkgo.no-color", "--ginkgo.v",
	}
	if len(o.Skips) > 0 {
		args = append(args, "--ginkgo.skip="+Expression(o.Skips))
	}
	return args
}
