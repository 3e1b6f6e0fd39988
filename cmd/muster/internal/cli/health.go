package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/cmd/muster/internal/role"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
)

func newHealth() *cobra.Command {
	var dataDir, host string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the server or service of a data directory whether it serves",
		Long: `Ask the server, scheduler or controller manager that runs on this machine with a
data directory whether it serves, by gRPC's health service; for those who watch
over processes. It exits with 0 when it does. A server serves when it has a
leader. One that does not lead, of schedulers and controller managers, serves as
well.`,
		Example: `  muster health                                       the server
  muster health --data-dir /var/lib/muster/scheduler  a scheduler that runs apart`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			if err := health(ctx, dataDir, host); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "serving")
			return err
		},
	}
	c.Flags().StringVar(&dataDir, "data-dir", "/var/lib/muster/server", "data directory of the one to ask")
	c.Flags().StringVar(&host, "host", "127.0.0.1", "where it runs")
	c.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long it may take to answer")
	return c
}

// health asks with the certificate of the one who is asked: whoever reads its
// directory may.
func health(ctx context.Context, dataDir, host string) error {
	m, err := join.LoadMembership(dataDir)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	name, port, check := provision.ServerPair, provision.GRPCPort, pki.IsServer
	for _, r := range role.All() {
		if r.Service == m.Service {
			name, port, check = r.Pair, r.Port, pki.IsUser(r.Identity(m.Name).User)
		}
	}
	pair, err := join.LoadPair(dataDir, name)
	if err != nil {
		return fmt.Errorf("health: %w: %s is the directory of no server, scheduler or controller manager", err, dataDir)
	}
	address := provision.Address(host, port)
	conn, err := join.Connect(address, pair.PeerTLS(check, "h2"), nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	response, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return worded("health of "+m.Name+" at "+address, err)
	}
	if response.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		return fmt.Errorf("health of %s at %s: it runs, but is not serving; its log says why", m.Name, address)
	}
	return nil
}
