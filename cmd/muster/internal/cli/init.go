package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/server"
)

func newInit() *cobra.Command {
	var options server.Identity
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a cluster's CA, the first server's certificates and an administrator's kubeconfig",
		Long: `Make a cluster's CA, the first server's certificates and an administrator's
kubeconfig below the data directory. ` + "`muster server`" + ` does the same when it finds
none; init is for those who want to look first.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := options.Init(); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), `The cluster's CA and the certificates are in %s/pki.

Try next:
  muster server --data-dir %s --advertise-address %s
  export KUBECONFIG=%s
`, options.DataDir, options.DataDir, options.AdvertiseAddress, options.Kubeconfig())
			return err
		},
	}
	addIdentityFlags(c, &options)
	return c
}

func addIdentityFlags(c *cobra.Command, options *server.Identity) {
	c.Flags().StringVar(&options.DataDir, "data-dir", "/var/lib/muster/server", "where the server keeps everything")
	c.Flags().StringVar(&options.Name, "name", "", "name of the server (default the host's)")
	c.Flags().StringVar(&options.AdvertiseAddress, "advertise-address", "", "IP address that others reach this server at (default that of the default route)")
	c.Flags().StringVar(&options.ClusterName, "cluster-name", "muster", "name of a new cluster, in its kubeconfig")
}
