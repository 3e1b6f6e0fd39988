package sim

import (
	"context"
	"net"
	"time"

	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/internal/pki"
)

// dialTime is how long client-go's own dialer waits for a host that does not answer.
const dialTime = 30 * time.Second

// REST is the configuration of a client, on a host, of the server's REST door. It
// never waits before it asks. Whoever makes a transport of it closes its connections
// before the test ends.
func (s *Server) REST(host string, id pki.Identity) *rest.Config {
	pair, dial := s.cluster.keyPair(id), s.cluster.Net.Dialer(host)
	return &rest.Config{
		Host: "https://" + net.JoinHostPort(s.Host, "6443"), QPS: -1,
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTime)
			defer cancel()
			return dial(ctx, address)
		},
		TLSClientConfig: rest.TLSClientConfig{CAData: pair.CAPEM(), CertData: pair.CertificatePEM(), KeyData: pair.KeyPEM()},
	}
}
