package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func newKubeconfig() *cobra.Command {
	var flags accessFlags
	var server, output string
	c := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Write a kubeconfig that knows all servers of today",
		Long: `Write a kubeconfig of the same user that knows all servers of today. The one that
a cluster's first server writes knows that server only, and muster's commands
need another one when it is gone. kubectl knows one address: --server names it,
for example that of a balancer.`,
		Example: `  muster kubeconfig --kubeconfig /var/lib/muster/server/kubeconfig --output ~/.kube/config
  muster kubeconfig --server https://api.example.com:6443 --output admin.kubeconfig`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if output == "" {
				return usageError{errors.New("--output: say which file to write")}
			}
			if u, err := url.Parse(server); server != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
				return usageError{fmt.Errorf("--server %q: give https://HOST:PORT", server)}
			}
			return flags.call(c.Context(), func(ctx context.Context, cluster clusterv1.ClusterServiceClient, access kubeconfig.Access) error {
				members, err := listMembers(ctx, cluster, false)
				if err != nil {
					return err
				}
				return writeKubeconfig(output, server, access, members.GetMembers())
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&server, "server", "", "address `https://HOST:PORT` that kubectl calls (default the one it calls already)")
	c.Flags().StringVarP(&output, "output", "o", "", "file to write; one that is there is replaced")
	return c
}

func writeKubeconfig(output, server string, access kubeconfig.Access, members []*clusterv1.Member) error {
	access.GRPC = nil
	for _, m := range members {
		if m.GetApiAddress() != "" {
			access.GRPC = append(access.GRPC, m.GetApiAddress())
		}
	}
	if server != "" {
		access.Server = server
	}
	return kubeconfig.Write(output, access)
}
