package agents_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/agents"
)

type node struct {
	agentv1.UnimplementedAgentServiceServer
}

func (node) Logs(r *agentv1.LogsRequest, stream grpc.ServerStreamingServer[agentv1.LogsResponse]) error {
	if r.GetPod() == "none" {
		return status.Error(codes.NotFound, "no log")
	}
	for _, line := range []string{"one\n", "two\n"} {
		if err := stream.Send(&agentv1.LogsResponse{Data: []byte(line)}); err != nil {
			return err
		}
	}
	return nil
}

func pair(t *testing.T, ca *pki.CA, id pki.Identity) *pki.KeyPair {
	t.Helper()
	cert, key, err := ca.Issue(id, []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pki.NewKeyPair(cert, key, ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// serve runs the agent of node n1.
func serve(t *testing.T, ca *pki.CA) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	keys := pair(t, ca, pki.NodeIdentity("n1"))
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(keys.PeerTLS(pki.IsServer, "h2"))))
	agentv1.RegisterAgentServiceServer(server, node{})
	done := make(chan error, 1)
	go func() { done <- server.Serve(lis) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String()
}

func TestLogs(t *testing.T) {
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, ca)
	client := agents.New(pair(t, ca, pki.ServerIdentity("s1")), nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var got string
	read := func(data []byte) error { got += string(data); return nil }
	if err := client.Logs(ctx, "n1", address, &agentv1.LogsRequest{Pod: "web"}, read); err != nil || got != "one\ntwo\n" {
		t.Errorf("read %q, %v", got, err)
	}
	if err := client.Logs(ctx, "n1", address, &agentv1.LogsRequest{Pod: "none"}, read); status.Code(err) != codes.NotFound {
		t.Errorf("no log: %v", err)
	}
	if err := client.Logs(ctx, "n2", address, &agentv1.LogsRequest{Pod: "web"}, read); status.Code(err) != codes.Unavailable {
		t.Errorf("another node's agent: %v", err)
	}
}
