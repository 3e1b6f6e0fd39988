package clientgo_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/integration/sim"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
)

// Hosts of clients: adminHost's cable is never pulled.
const (
	adminHost  = "10.4.0.1"
	clientHost = "10.4.0.2"
)

// cluster is one server, whether or not with a scheduler and controllers.
type cluster struct {
	*sim.Cluster
	t *testing.T
}

// TestMain takes away what handles errors that nobody returns: it logs, where errors are
// meant to be, and it keeps the time of the last one, which in a bubble may be years off.
func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = nil
	m.Run()
}

// inVirtualTime runs a scenario with an apiserver in a bubble: client-go's back-offs,
// leases and resyncs of minutes pass at once.
func inVirtualTime(t *testing.T, scenario func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { scenario(t, &cluster{sim.NewAPI(t), t}) })
}

// withControllers runs one with a whole server.
func withControllers(t *testing.T, scenario func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { scenario(t, &cluster{sim.New(t, 1, 0), t}) })
}

// config is that of an administrator's client on a host.
func (c *cluster) config(host string) *rest.Config {
	config := c.Servers[0].REST(host, pki.AdminIdentity())
	config.WarningHandler = rest.NoWarnings{}
	config.UserAgent = rest.DefaultKubernetesUserAgent()
	config.ContentType, config.AcceptContentTypes = protobufType, protobufType+","+jsonType
	return config
}

// clients is a client on a host, whose connections are closed in the end.
func (c *cluster) clients(host string, change ...func(*rest.Config)) *kubernetes.Clientset {
	c.t.Helper()
	config := c.config(host)
	for _, f := range change {
		f(config)
	}
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(http.CloseIdleConnections)
	clients, err := kubernetes.NewForConfigAndClient(config, http)
	if err != nil {
		c.t.Fatal(err)
	}
	return clients
}

// do makes changes in as few transactions as it takes.
func (c *cluster) do(changes ...sdk.Operation) {
	c.t.Helper()
	for i, err := range c.Client.TransactEach(context.WithoutCancel(c.t.Context()), changes...) {
		if err != nil {
			c.t.Fatalf("change %d: %v", i, err)
		}
	}
}

// many makes an operation for each of a range of numbers.
func many(from, to int, operation func(name string) sdk.Operation) []sdk.Operation {
	var out []sdk.Operation
	for i := from; i < to; i++ {
		out = append(out, operation(fmt.Sprintf("m%05d", i)))
	}
	return out
}
