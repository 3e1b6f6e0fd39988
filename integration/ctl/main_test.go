//go:build root

// Package ctl_test holds kubectl, old and new, to what it prints against
// Kubernetes: every command, every kind, every form of output. The cluster is in
// this process and its containers are pretended; integration/e2e has real ones.
//
// What is expected was read in Kubernetes' sources and documentation.
package ctl_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/sdk"
)

// shared is the cluster of all tests, which have namespaces of their own.
var shared *cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	for _, path := range []string{harness.DebianKubectl(), harness.OwnKubectl()} {
		if _, err := os.Stat(path); err != nil {
			fmt.Fprintln(os.Stderr, err, "(make build debian-kubectl)")
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "muster-ctl-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := errors.Join(unmount(dir), os.RemoveAll(dir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	group, ctx := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		if err := group.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if shared, err = start(ctx, group, dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = shared.admin.Close() }()
	return m.Run()
}

// take has both kubectls take the steps, all of them, so that each that is wrong is
// named. $NS in a step is the namespace they are in.
func take(t *testing.T, steps []harness.Step) {
	inBoth(t, func(t *testing.T, k harness.Kubectl) {
		for _, s := range steps {
			if err := k.Try(t, s); err != nil {
				t.Error(err)
			}
		}
	})
}

// inBoth runs a test with both kubectls, at the same time and each in a namespace of
// its own.
func inBoth(t *testing.T, test func(t *testing.T, k harness.Kubectl)) {
	t.Parallel()
	for name, path := range map[string]string{"debian": harness.DebianKubectl(), "own": harness.OwnKubectl()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newKubectl(t, path))
		})
	}
}

// newKubectl returns one that uses a new namespace by default.
func newKubectl(t *testing.T, path string) harness.Kubectl {
	t.Helper()
	namespace := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(t.Name(), "Test"), "/", "-"))
	if _, err := sdk.Create(t.Context(), shared.admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text, err := os.ReadFile(shared.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "NAMESPACE", namespace)), 0o600); err != nil {
		t.Fatal(err)
	}
	return harness.Kubectl{
		Path: path, Old: path == harness.DebianKubectl(), Env: []string{
			"KUBECONFIG=" + config,
			"KUBE_EDITOR=" + filepath.Join(harness.Root(), "integration", "ctl", "testdata", "editor"),
			"HOME=" + filepath.Dir(shared.kubeconfig()), // what discovery told one tells the others
		},
		Names: []string{"$NS", namespace, "$DIR", dir, "$DATA", filepath.Join(harness.Root(), "integration", "ctl", "testdata"), "$PKI", shared.dir},
	}
}

const patience = 20 * time.Second
