package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/server"
	"github.com/musterhq/muster/internal/vitals"
)

func newServer() *cobra.Command {
	var config server.Config
	var logs logFlags
	c := &cobra.Command{
		Use:   "server",
		Short: "Run a server: API, scheduler and controller manager",
		Long: `Run a server: the API (Kubernetes' on port 6443, gRPC on 6442), a replica of the
state, a scheduler and a controller manager. The first server forms a cluster;
others join it with a token and form a majority with it.`,
		Example: `  muster server --advertise-address 10.0.0.1                 the first
  muster server --advertise-address 10.0.0.2 --join TOKEN    a further one`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if config.Logger, err = logs.logger(c); err != nil {
				return err
			}
			if err := emptyToken(c, config.Join); err != nil {
				return err
			}
			return vitals.During(c.Context(), config.Logger, func(ctx context.Context) error { return server.Run(ctx, config) })
		},
	}
	addIdentityFlags(c, &config.Identity)
	c.Flags().StringVar(&config.Join, "join", "", "`TOKEN` of the cluster to join, from muster token create; not needed again after that")
	logs.add(c)
	return c
}
