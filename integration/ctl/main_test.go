//go:build root

// Package ctl_test holds kubectl, old and new, to what it prints against
// Kubernetes: every command, every kind, every form of output. The cluster is in
// this process and its containers are pretended; integration/e2e has real ones.
//
// What is expected was read in Kubernetes' sources and documentation.
package ctl_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/sdk"
)

// patience is how long a step waits for controllers.
const patience = 20 * time.Second

// TestKubectl runs all tests on one cluster, each in namespaces of its own:
// -run 'TestKubectl/get/own' is one with one kubectl.
func TestKubectl(t *testing.T) {
	for _, path := range []string{harness.DebianKubectl(), harness.OwnKubectl()} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v (make build debian-kubectl)", err)
		}
	}
	c := start(t)
	for name, test := range map[string]func(*testing.T, *cluster){
		"admission": testAdmission, "apply": testApply, "auth": testAuth, "change": testChange, "client": testClient,
		"create": testCreate, "delete": testDelete, "explain": testExplain, "fields": testExplainFields, "flags": testFlags,
		"get": testGet, "kinds": testKinds, "nodes": testNodes, "proxy": testProxy, "rollout": testRollout,
		"watch": testWatch, "wrong": testWrongInput,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

// take has both kubectls take the steps, all of them, so that each that is wrong is
// named. $NS in a step is the namespace they are in.
func (c *cluster) take(t *testing.T, steps []harness.Step) {
	c.inBoth(t, func(t *testing.T, k harness.Kubectl) { try(t, k, steps) })
}

func try(t *testing.T, k harness.Kubectl, steps []harness.Step) {
	t.Helper()
	for _, s := range steps {
		if err := k.Try(t, s); err != nil {
			t.Error(err)
		}
	}
}

// inBoth runs a test with both kubectls, at the same time and each in a namespace of
// its own.
func (c *cluster) inBoth(t *testing.T, test func(t *testing.T, k harness.Kubectl)) {
	t.Parallel()
	for name, path := range map[string]string{"debian": harness.DebianKubectl(), "own": harness.OwnKubectl()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c.kubectl(t, path))
		})
	}
}

// kubectl returns one that uses a new namespace by default.
func (c *cluster) kubectl(t *testing.T, path string) harness.Kubectl {
	t.Helper()
	namespace := strings.ReplaceAll(strings.TrimPrefix(t.Name(), "TestKubectl/"), "/", "-")
	if _, err := sdk.Create(t.Context(), c.admin, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(config, []byte(c.kubeconfig(namespace)), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(harness.Root(), "integration", "ctl", "testdata")
	return harness.Kubectl{
		Path: path, Old: path == harness.DebianKubectl(),
		Env:   []string{"KUBECONFIG=" + config, "HOME=" + c.home, "KUBE_EDITOR=" + filepath.Join(data, "editor")},
		Names: []string{"$NS", namespace, "$DIR", dir, "$DATA", data, "$CERT", c.files.Cert, "$KEY", c.files.Key},
	}
}

// kubeconfig has an administrator and somebody whose token is none.
func (c *cluster) kubeconfig(namespace string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: ctl
contexts: [{name: ctl, context: {cluster: ctl, user: admin, namespace: %s}}]
clusters: [{name: ctl, cluster: {server: "https://%s", certificate-authority: %s}}]
users: [{name: admin, user: {client-certificate: %s, client-key: %s}}, {name: stranger, user: {token: nobody}}]
`, namespace, c.REST, c.files.CA, c.files.Cert, c.files.Key)
}
