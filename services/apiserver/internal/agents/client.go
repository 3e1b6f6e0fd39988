// Package agents calls the nodes' own service.
package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/internal/pki"
)

// keepaliveTime is the shortest that gRPC allows a client.
const (
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 10 * time.Second
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

// connect opens a connection to the agent at the address, which must prove that
// it is the node's. One of its own carries each log, command and port-forward, so
// that one reader cannot hold up another. It is made by the first call on it.
func (c *Client) connect(node, address string) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(c.keys.PeerTLS(pki.IsNode(node)))),
		// A machine that is gone ends what it carried.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
	}
	if c.dial != nil {
		options = append(options, grpc.WithContextDialer(c.dial))
	}
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return nil, fmt.Errorf("call agent of node %s: %w", node, err)
	}
	return conn, nil
}

// Ping asks whether pods can run on the node.
func (c *Client) Ping(ctx context.Context, node, address string) (*agentv1.PingResponse, error) {
	conn, err := c.connect(node, address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return agentv1.NewAgentServiceClient(conn).Ping(ctx, &agentv1.PingRequest{})
}

// Usage asks what the node and its pods have used.
func (c *Client) Usage(ctx context.Context, node, address string) (*agentv1.UsageResponse, error) {
	conn, err := c.connect(node, address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return agentv1.NewAgentServiceClient(conn).Usage(ctx, &agentv1.UsageRequest{})
}

// Logs streams a container's log until it ends, send fails or ctx ends.
func (c *Client) Logs(ctx context.Context, node, address string, request *agentv1.LogsRequest, send func([]byte) error) error {
	conn, err := c.connect(node, address)
	if err != nil {
		return err
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
