package join

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

const (
	// attemptTimeout bounds one server's answer, retryPause what lies between rounds.
	attemptTimeout = 5 * time.Second
	retryPause     = 500 * time.Millisecond
)

// Dialer replaces the network, in tests.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Request says who wants to join.
type Request struct {
	Token Token
	Role  clusterv1.CertificateRole
	Name  string
	// Addresses the certificate shall be valid for.
	Addresses []string
	Dial      Dialer
}

// Granted is what a member was given.
type Granted struct {
	Membership Membership
	KeyPair    *pki.KeyPair
	// Authority and ServiceAccountKeyPEM are for servers only.
	Authority            *pki.CA
	ServiceAccountKeyPEM []byte
}

// Join exchanges the token for an identity. It tries each server of the token,
// again and again until ctx ends; a server that refuses the token ends it.
func Join(ctx context.Context, r Request) (*Granted, error) {
	keyPEM, csr, err := pki.NewRequest()
	if err != nil {
		return nil, err
	}
	message := &clusterv1.JoinRequest{Secret: r.Token.Proof(), Role: r.Role, Name: r.Name, CsrDer: csr, Addresses: r.Addresses}
	for {
		var last error
		for _, address := range r.Token.Addresses {
			response, err := ask(ctx, address, r, message)
			if err == nil {
				return granted(r, keyPEM, response)
			}
			if refused(err) {
				return nil, fmt.Errorf("join through %s: %s", address, status.Convert(err).Message())
			}
			last = fmt.Errorf("join through %s: %w", address, err)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(last, ctx.Err())
		case <-time.After(retryPause):
		}
	}
}

// refused says that asking again will not help.
func refused(err error) bool {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.InvalidArgument, codes.AlreadyExists, codes.Unimplemented, codes.Unauthenticated:
		return true
	}
	// gRPC keeps of a failed handshake nothing but its text.
	return strings.Contains(err.Error(), pki.ErrForeignCluster.Error())
}

func ask(ctx context.Context, address string, r Request, message *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	conn, err := Connect(address, pki.PinnedTLS(r.Token.Pin, "h2"), r.Dial)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return clusterv1.NewClusterServiceClient(conn).Join(ctx, message)
}

// Connect makes a gRPC connection to one server.
func Connect(address string, config *tls.Config, dial Dialer) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(config))}
	if dial != nil {
		options = append(options, grpc.WithContextDialer(dial))
	}
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return conn, nil
}

func granted(r Request, keyPEM []byte, response *clusterv1.JoinResponse) (*Granted, error) {
	if err := pki.CheckPin(response.GetCaPem(), r.Token.Pin); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	pair, err := pki.NewKeyPair(response.GetCertificatePem(), keyPEM, response.GetCaPem())
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	out := &Granted{
		KeyPair: pair,
		Membership: Membership{
			Name: r.Name, ClusterID: response.GetClusterId(), GossipKey: response.GetGossipKey(),
			GossipAddresses: response.GetGossipAddresses(), APIAddresses: response.GetApiAddresses(),
		},
		ServiceAccountKeyPEM: response.GetServiceAccountKeyPem(),
	}
	if len(response.GetCaKeyPem()) > 0 {
		if out.Authority, err = pki.ParseCA(response.GetCaPem(), response.GetCaKeyPem()); err != nil {
			return nil, fmt.Errorf("join: %w", err)
		}
	}
	return out, nil
}
