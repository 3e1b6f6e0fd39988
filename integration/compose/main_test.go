//go:build compose

// Package compose_test runs the cluster of deploy/compose, breaks it as docker lets one
// break it, and looks at what it leaves on the machine. `make compose-check` runs it.
package compose_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// cluster is shared by the tests of this package. Each leaves it whole.
var cluster *harness.Compose

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
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
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var said string
	if cluster, said, err = harness.UpCompose(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Print(said)
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

// eventually waits for up to half a minute, and ends the test when that was not enough.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	if err := harness.Eventually(t.Context(), 30*time.Second, f); err != nil {
		t.Fatal(err)
	}
}
