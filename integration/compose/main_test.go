//go:build compose

// Package compose_test runs the cluster of deploy/compose, breaks it as docker lets one
// break it, and looks at what it leaves on the machine. `make compose-check` runs it.
package compose_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// slow stretches all limits of time, and ipvs asks for what a kernel without it cannot
// show. In an emulated machine both are set.
var (
	slow = flag.Int("slow", 1, "how many times as long as usual everything may take")
	ipvs = flag.Bool("ipvs", false, "want services by IPVS, as a kernel that has it gives them")
)

// cluster is shared by the tests of this package. Each leaves it whole.
var cluster *harness.Compose

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	flag.Parse()
	before, err := footprint()
	if err == nil && len(before) > 0 {
		err = fmt.Errorf("a cluster is there already, or something of one (`make compose-down` removes it): %v", before)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		err := cluster.Down(context.Background())
		left, seen := footprint()
		if len(left) > 0 {
			seen = errors.Join(seen, fmt.Errorf("the cluster left something behind: %v", left))
		}
		if err := errors.Join(err, seen); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience(5*time.Minute))
	defer cancel()
	if cluster, err = harness.UpCompose(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// docker, kubectl and muster run a command and end the test when it fails.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	return must(t)(cluster.Docker(t.Context(), args...))
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return must(t)(cluster.Kubectl(t.Context(), args...))
}

func must(t *testing.T) func(string, error) string {
	return func(out string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// patience is how long what takes that long at most may take here.
func patience(most time.Duration) time.Duration { return most * time.Duration(*slow) }

// limit is patience as an argument of kubectl.
func limit(most time.Duration) string { return "--timeout=" + patience(most).String() }

// curl is a command that asks a URL.
func curl(url string) []string {
	return []string{"curl", "-sS", "--max-time", fmt.Sprint(patience(5 * time.Second).Seconds()), url}
}

// eventually waits for up to half a minute, and ends the test when that was not enough.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	if err := harness.Eventually(t.Context(), patience(30*time.Second), f); err != nil {
		t.Fatal(err)
	}
}
