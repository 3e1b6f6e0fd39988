// Package agents calls the nodes' own service.
package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/internal/pki"
)

// Client calls agents with this server's certificate.
type Client struct {
	keys *pki.KeyPair
	dial func(ctx context.Context, address string) (net.Conn, error)
}

// New returns a Client; dial makes raw connections, nil is the network.
func New(keys *pki.KeyPair, dial func(ctx context.Context, address string) (net.Conn, error)) *Client {
	return &Client{keys: keys, dial: dial}
}

// Logs streams a container's log until it ends, send fails or ctx ends. The
// agent at the address must prove that it is the node's. A connection of its
// own carries each log, so that one reader cannot hold up another.
func (c *Client) Logs(ctx context.Context, node, address string, request *agentv1.LogsRequest, send func([]byte) error) error {
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(c.keys.PeerTLS(pki.IsNode(node))))}
	if c.dial != nil {
		options = append(options, grpc.WithContextDialer(c.dial))
	}
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return fmt.Errorf("call agent of node %s: %w", node, err)
	}
	defer func() { _ = conn.Close() }()
	stream, err := agentv1.NewAgentServiceClient(conn).Logs(ctx, request)
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := send(response.GetData()); err != nil {
			return err
		}
	}
}
