package join

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
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
	// sayAgain is how often one who waits is told why.
	sayAgain = 10 * time.Second
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
	// Logger is told why the servers did not answer yet; nil tells nobody.
	Logger *slog.Logger
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
	var said time.Time
	for {
		var last error
		for _, address := range r.Token.Addresses {
			response, err := ask(ctx, address, r, message)
			if err == nil {
				return granted(r, keyPEM, response)
			}
			if foreign(err) {
				return nil, fmt.Errorf("join through %s: %w: make a token on a server of the cluster to join (`muster token create`), or correct the address", address, pki.ErrForeignCluster)
			}
			if refused(err) {
				return nil, fmt.Errorf("join through %s: %s", address, status.Convert(err).Message())
			}
			if ctx.Err() == nil || last == nil {
				last = err
			}
		}
		if r.Logger != nil && ctx.Err() == nil && time.Since(said) >= sayAgain {
			said = time.Now()
			r.Logger.Warn("no server of the token answers yet, trying again", "servers", r.Token.Addresses, "error", status.Convert(last).Message())
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("join: none of the token's servers answered (%s): check that they run and that this machine reaches their port: %s",
				strings.Join(r.Token.Addresses, ", "), status.Convert(last).Message())
		case <-time.After(retryPause):
		}
	}
}

// foreign says that the server is of another cluster than the token. gRPC keeps
// of a failed handshake nothing but its text.
func foreign(err error) bool { return strings.Contains(err.Error(), pki.ErrForeignCluster.Error()) }

// refused says that asking again will not help.
func refused(err error) bool {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.InvalidArgument, codes.AlreadyExists, codes.Unimplemented, codes.Unauthenticated:
		return true
	}
	return false
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
			Name: r.Name, ClusterID: response.GetClusterId(), Epoch: response.GetEpoch(), GossipKey: response.GetGossipKey(),
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
