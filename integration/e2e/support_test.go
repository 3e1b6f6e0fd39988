//go:build root

package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

var errorf = fmt.Errorf

// kubectl runs our own kubectl and ends the test when it fails.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := cluster.Kubectl(t.Context(), harness.OwnKubectl(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// deleteNamespace deletes a namespace and waits until it is gone. The example
// pod's shell ignores SIGTERM, so it is not given its 30 seconds.
func deleteNamespace(t *testing.T, namespace string) {
	t.Helper()
	for _, args := range [][]string{
		{"-n", namespace, "delete", "pod", "myapp-pod", "--grace-period=1", "--ignore-not-found"},
		{"delete", "namespace", namespace, "--timeout=90s"},
	} {
		if _, err := cluster.Kubectl(contextOf(t), harness.OwnKubectl(), "", args...); err != nil {
			t.Error(err)
		}
	}
}

// apply applies a manifest and returns what kubectl printed.
func apply(t *testing.T, manifest string) (string, error) {
	t.Helper()
	return cluster.Kubectl(t.Context(), harness.OwnKubectl(), manifest, "apply", "-f", "-")
}

// eventually waits for up to half a minute.
func eventually(t *testing.T, f func() error) error {
	t.Helper()
	return harness.Eventually(t.Context(), 30*time.Second, f)
}

// contextOf is the test's context, or a fresh one while the test cleans up.
func contextOf(t *testing.T) context.Context {
	if t.Context().Err() != nil {
		return context.Background()
	}
	return t.Context()
}
