package join

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// renewRetry is how soon a renewal that did not succeed is tried again; a third
// of the certificate's life is left then.
const renewRetry = time.Minute

// Renewer is the part of ClusterService that renews.
type Renewer interface {
	Renew(ctx context.Context, request *clusterv1.RenewRequest) (*clusterv1.RenewResponse, error)
}

// KeepFresh renews the pair when two thirds of its certificate's life are over,
// until ctx ends. Connections made from then on use the new certificate.
func KeepFresh(ctx context.Context, logger *slog.Logger, pair *pki.KeyPair, renewer Renewer) error {
	logger = logger.With("component", "renewal", "user", pair.Identity().User)
	for {
		wait := time.Until(pair.RenewAt())
		for wait > 0 {
			// Timers stop while a machine sleeps, so long waits are cut.
			if !pause(ctx, min(wait, time.Hour)) {
				return nil
			}
			wait = time.Until(pair.RenewAt())
		}
		if err := renew(ctx, pair, renewer); err != nil {
			logger.Warn("certificate not renewed yet", "expires", pair.Leaf().NotAfter, "error", err)
			if !pause(ctx, renewRetry) {
				return nil
			}
			continue
		}
		logger.Info("certificate renewed", "expires", pair.Leaf().NotAfter)
	}
}

func renew(ctx context.Context, pair *pki.KeyPair, renewer Renewer) error {
	keyPEM, csr, err := pki.NewRequest()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	response, err := renewer.Renew(ctx, &clusterv1.RenewRequest{CsrDer: csr})
	if err != nil {
		return fmt.Errorf("renew certificate: %w", err)
	}
	return pair.Replace(response.GetCertificatePem(), keyPEM)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Servers renews through the first of the members' servers that answers.
type Servers struct {
	Addresses func() []string
	KeyPair   *pki.KeyPair
	Dial      Dialer
}

// Renew implements Renewer.
func (s Servers) Renew(ctx context.Context, request *clusterv1.RenewRequest) (*clusterv1.RenewResponse, error) {
	var last error
	for _, address := range s.Addresses() {
		conn, err := Connect(address, s.KeyPair.PeerTLS(pki.IsServer, "h2"), s.Dial)
		if err != nil {
			return nil, err
		}
		response, err := clusterv1.NewClusterServiceClient(conn).Renew(ctx, request)
		_ = conn.Close()
		if err == nil {
			return response, nil
		}
		last = fmt.Errorf("through %s: %w", address, err)
	}
	if last == nil {
		last = fmt.Errorf("no server is known")
	}
	return nil, last
}
