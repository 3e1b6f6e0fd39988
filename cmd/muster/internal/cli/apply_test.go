package cli_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver"
)

// startServer runs an apiserver of one member until the test ends, and has KUBECONFIG
// name it.
func startServer(t *testing.T) {
	t.Helper()
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(id pki.Identity) *pki.KeyPair {
		cert, key, err := ca.Issue(id, pki.ServerAddresses("127.0.0.1"), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := pki.NewKeyPair(cert, key, ca.CertificatePEM())
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	var doors [3]net.Listener
	for i := range doors {
		if doors[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	server, err := apiserver.New(apiserver.Config{
		Name: "s1", DataDir: t.TempDir(), AdvertiseAddress: "127.0.0.1", ClusterID: "test",
		RESTListener: doors[0], GRPCListener: doors[1], RaftListener: doors[2],
		Authority: ca, KeyPair: issue(pki.ServerIdentity("s1")), Bootstrap: true, InMemory: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	ready, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if err := server.WaitReady(ready); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := kubeconfig.Write(path, kubeconfig.Access{Cluster: "test", Server: "https://" + doors[0].Addr().String(),
		GRPC: []string{doors[1].Addr().String()}, KeyPair: issue(pki.AdminIdentity())}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
}

// shop is a namespace with what is in it, the other way round.
const shop = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: %s
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: jwilder/whoami}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {color: %s}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
`

// manifests writes what is to be applied, and returns the file.
func manifests(t *testing.T, text string, args ...any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, text, args...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func applied(t *testing.T, want string, args ...string) {
	t.Helper()
	code, out, errs := run(append([]string{"apply"}, args...)...)
	if code != 0 || out != want {
		t.Errorf("muster apply %s: code %d\n%s%s\nwant:\n%s", strings.Join(args, " "), code, out, errs, want)
	}
}

func refused(t *testing.T, want []string, args ...string) (stdout string) {
	t.Helper()
	code, out, errs := run(append([]string{"apply"}, args...)...)
	for _, w := range want {
		if code != 1 || !strings.Contains(errs, w) {
			t.Errorf("muster apply %s: code %d\n%s%s\nwant: %s", strings.Join(args, " "), code, out, errs, w)
		}
	}
	return out
}

func TestApplyAtomic(t *testing.T) {
	startServer(t)
	// One object that is refused, and nothing is there.
	out := refused(t, []string{"nothing was applied: deployment.apps/web in namespace shop (", "shop.yaml:1) was refused: ", "spec.replicas"},
		"--atomic", "-f", manifests(t, shop, "-1", "red"))
	if out != "" {
		t.Errorf("it says it did: %s", out)
	}
	good := manifests(t, shop, "2", "red")
	applied(t, "deployment.apps/web created (server dry run)\nconfigmap/settings created (server dry run)\nnamespace/shop created (server dry run)\n",
		"--atomic", "--dry-run=server", "-f", good)
	applied(t, "deployment.apps/web created\nconfigmap/settings created\nnamespace/shop created\n", "--atomic", "-f", good)
	applied(t, "deployment.apps/web unchanged\nconfigmap/settings unchanged\nnamespace/shop unchanged\n", "--atomic", "-f", good)
	applied(t, "deployment.apps/web unchanged\nconfigmap/settings configured\nnamespace/shop unchanged\n", "--atomic", "-f", manifests(t, shop, "2", "blue"))
	// The ConfigMap could be changed, and is not: the Deployment refuses.
	refused(t, []string{"nothing was applied: deployment.apps/web"}, "--atomic", "-f", manifests(t, shop, "-1", "green"))
	applied(t, "deployment.apps/web unchanged\nconfigmap/settings unchanged\nnamespace/shop unchanged\n", "--atomic", "-f", manifests(t, shop, "2", "blue"))
	// Somebody else wants a field otherwise.
	refused(t, []string{"conflict", "--force-conflicts"}, "--atomic", "--field-manager", "painter", "-f", manifests(t, shop, "2", "black"))
	applied(t, "deployment.apps/web configured\nconfigmap/settings configured\nnamespace/shop configured\n",
		"--atomic", "--field-manager", "painter", "--force-conflicts", "-f", manifests(t, shop, "2", "black"))
}

func TestApplyOneByOne(t *testing.T) {
	startServer(t)
	out := refused(t, []string{"1 of 3 objects were not applied", "deployment.apps/web in namespace shop (", "spec.replicas"}, "-f", manifests(t, shop, "-1", "red"))
	if out != "namespace/shop created\nconfigmap/settings created\n" {
		t.Errorf("applied:\n%s", out)
	}
	applied(t, "namespace/shop unchanged\nconfigmap/settings unchanged\ndeployment.apps/web created\n", "-f", manifests(t, shop, "1", "red"))
}

// What can be seen without the server's help is refused before anything is sent.
func TestApplyRefuses(t *testing.T) {
	startServer(t)
	const cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
	many := strings.Builder{}
	for i := range 1001 {
		fmt.Fprintf(&many, "---\n"+cm, fmt.Sprint("c", i))
	}
	for name, test := range map[string]struct{ text, want string }{
		"a kind that is not served": {"apiVersion: example.com/v1\nkind: Toy\nmetadata: {name: a}\n", `no matches for kind "Toy" in version "example.com/v1"`},
		"a namespace for a node":    {"apiVersion: v1\nkind: Node\nmetadata: {name: a, namespace: b}\n", "a Node is in no namespace"},
		"the same twice":            {fmt.Sprintf(cm+"---\n"+cm, "a", "a"), "configmap/a in namespace default is there twice, in "},
		"nothing":                   {"# nothing\n", "there is no object"},
		"too many":                  {many.String(), "these are 1001 objects, and at most 1000 are applied together"},
		"an unknown field":          {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndaata: {}\n", "daata"},
	} {
		refused(t, []string{test.want}, "--atomic", "-f", manifests(t, "%s", test.text))
		if t.Failed() {
			t.Fatalf("that was %s", name)
		}
	}
	if code, _, errs := run("apply"); code != 2 || !strings.Contains(errs, "needs -f") {
		t.Errorf("without a file: %d, %s", code, errs)
	}
}

// A thousand objects are applied together.
func TestApplyAThousand(t *testing.T) {
	startServer(t)
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata: {k: %q}\n", i, strings.Repeat("x", 1024))
	}
	code, out, errs := run("apply", "--atomic", "-n", "default", "-f", manifests(t, "%s", text.String()))
	if code != 0 || strings.Count(out, " created\n") != 1000 {
		t.Errorf("code %d, %d created, %s", code, strings.Count(out, " created\n"), errs)
	}
}
