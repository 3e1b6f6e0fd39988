//go:build root

// Package e2e_test runs a cluster of real processes on this machine and uses it
// as a user would: with kubectl, curl, kill and a pulled cable.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// cluster is shared by the tests of this package: 3 servers, 2 nodes. A test
// leaves it as it found it.
var cluster *harness.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	if err := harness.RequireRoot(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "muster-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	before, err := harness.Footprint()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := settled(before); err != nil {
			fmt.Fprintln(os.Stderr, "the cluster left something behind:", err)
			code = 1
		}
	}()
	cluster, err = harness.Up(ctx, fmt.Sprintf("e2e%d", os.Getpid()), filepath.Join(dir, "cluster"), 3, 2)
	defer func() {
		if err := cluster.Down(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err == nil {
		err = cluster.LoadImages(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// settled waits until the machine is as it was.
func settled(before harness.Print) error {
	return harness.Eventually(context.Background(), 10*time.Second, func() error {
		now, err := harness.Footprint()
		if err != nil {
			return err
		}
		return now.Since(before)
	})
}
