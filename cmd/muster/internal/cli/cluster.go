package cli

import (
	"context"
	"fmt"
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
