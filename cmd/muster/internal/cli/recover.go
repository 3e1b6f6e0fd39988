package cli

import (
	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/server"
)

func newServerRecover() *cobra.Command {
	var dataDir string
	var confirmed bool
	c := &cobra.Command{
		Use:   "recover",
		Short: "Make a stopped server the only one of its cluster, when most of the others are lost",
		Long: `Make a stopped server the only one of its cluster, for when more than half of
the servers that vote are lost for good: without a majority nothing can be read
or written, and no server can be removed.

Without the flag that confirms it, it changes nothing: it tells how far the
server's log reaches and what may be lost. Writes that were acknowledged and
that this server had not received are gone. Of several servers that are left,
take the one whose term, and then entry, is the highest.

The data is copied beside the old one first. The cluster begins a new epoch: the
other servers, should they still have their data, are refused from then on, and
join anew, with an empty data directory and a token. Nodes and users notice
nothing of that.`,
		Example: `  muster server recover --data-dir /var/lib/muster/server
  muster server recover --data-dir /var/lib/muster/server --` + server.ConfirmRecovery,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return server.Recover(c.Context(), c.OutOrStdout(), dataDir, confirmed)
		},
	}
	c.Flags().StringVar(&dataDir, "data-dir", "/var/lib/muster/server", "where the server keeps everything")
	c.Flags().BoolVar(&confirmed, server.ConfirmRecovery, false, "do it")
	return c
}
