package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// accessFlags name the kubeconfig, as kubectl's do.
type accessFlags struct{ kubeconfig string }

func (f *accessFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "file that says where the cluster is (default $KUBECONFIG, then ~/.kube/config)")
}

// connect calls the cluster's gRPC port as the kubeconfig's user.
func (f *accessFlags) connect() (kubeconfig.Access, *sdk.Client, error) {
	access, err := kubeconfig.Load(f.kubeconfig)
	if err != nil {
		return kubeconfig.Access{}, nil, err
	}
	client, err := sdk.Dial(sdk.Config{Servers: access.GRPC, TLS: access.KeyPair.PeerTLS(pki.IsServer, "h2"), UserAgent: "muster"})
	if err != nil {
		return kubeconfig.Access{}, nil, err
	}
	return access, client, nil
}

// call runs f against ClusterService and words its error.
func (f *accessFlags) call(ctx context.Context, do func(context.Context, clusterv1.ClusterServiceClient, kubeconfig.Access) error) error {
	access, client, err := f.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return do(ctx, clusterv1.NewClusterServiceClient(client.Conn()), access)
}

const answerTimeout = 15 * time.Second

// worded drops gRPC's wrapping of a server's message.
func worded(operation string, err error) error {
	if s, ok := status.FromError(err); ok {
		return fmt.Errorf("%s: %s", operation, s.Message())
	}
	return fmt.Errorf("%s: %w", operation, err)
}

func newToken() *cobra.Command {
	c := &cobra.Command{Use: "token", Short: "Let machines join, and people and programs in"}
	c.AddCommand(newTokenCreate(), newTokenUser())
	return c
}

func newTokenCreate() *cobra.Command {
	var flags accessFlags
	var ttl time.Duration
	var roles []string
	c := &cobra.Command{
		Use:   "create",
		Short: "Print a join token: all that a new machine needs",
		Example: `  muster token create --ttl 1h --role node
  muster agent --join TOKEN            on the new machine
  muster server --join TOKEN           for a further server`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			request := &clusterv1.CreateTokenRequest{TtlSeconds: int64(ttl / time.Second)}
			for _, role := range roles {
				value, ok := clusterv1.CertificateRole_value["CERTIFICATE_ROLE_"+strings.ToUpper(role)]
				if !ok || value == 0 {
					return usageError{fmt.Errorf("role %q: choose node or server", role)}
				}
				request.Roles = append(request.Roles, clusterv1.CertificateRole(value))
			}
			return flags.call(c.Context(), func(ctx context.Context, cluster clusterv1.ClusterServiceClient, _ kubeconfig.Access) error {
				ctx, cancel := context.WithTimeout(ctx, answerTimeout)
				defer cancel()
				response, err := cluster.CreateToken(ctx, request)
				if err != nil {
					return worded("create token", err)
				}
				_, _ = fmt.Fprintf(c.ErrOrStderr(), "# expires %s\n", response.GetExpires().AsTime().Local().Format(time.RFC1123))
				_, err = fmt.Fprintln(c.OutOrStdout(), response.GetToken())
				return err
			})
		},
	}
	flags.add(c)
	c.Flags().DurationVar(&ttl, "ttl", 24*time.Hour, "how long it can be used")
	c.Flags().StringSliceVar(&roles, "role", nil, "what it lets in: node, server (default both)")
	return c
}
