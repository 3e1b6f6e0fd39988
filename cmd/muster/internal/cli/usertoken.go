package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func newTokenUser() *cobra.Command {
	var flags accessFlags
	var ttl time.Duration
	var groups []string
	c := &cobra.Command{
		Use:   "user NAME",
		Short: "Print a bearer token for a person or a program",
		Long: `Print a bearer token for a person or a program. Whoever has it is that user, so
it is shown this once and kept nowhere; the cluster knows only its hash.`,
		Example: `  muster token user alice --group system:masters --ttl 8h
  kubectl --server https://ADDRESS:6443 --certificate-authority ca.crt --token TOKEN get pods`,
		Args: exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			request := &clusterv1.CreateUserTokenRequest{User: args[0], Groups: groups, TtlSeconds: int64(ttl / time.Second)}
			return flags.call(c.Context(), func(ctx context.Context, cluster clusterv1.ClusterServiceClient, _ kubeconfig.Access) error {
				ctx, cancel := context.WithTimeout(ctx, answerTimeout)
				defer cancel()
				made, err := cluster.CreateUserToken(ctx, request)
				if err != nil {
					return worded("make token", err)
				}
				_, _ = fmt.Fprintf(c.ErrOrStderr(), "# expires %s\n", made.GetExpires().AsTime().Local().Format(time.RFC1123))
				if len(groups) == 0 {
					_, _ = fmt.Fprintf(c.ErrOrStderr(), "# %s is in no group and may do nothing; --group system:masters makes an administrator\n", args[0])
				}
				_, err = fmt.Fprintln(c.OutOrStdout(), made.GetToken())
				return err
			})
		},
	}
	flags.add(c)
	c.Flags().DurationVar(&ttl, "ttl", 24*time.Hour, "how long it holds")
	c.Flags().StringSliceVar(&groups, "group", nil, "group of the user; system:masters is an administrator")
	return c
}
