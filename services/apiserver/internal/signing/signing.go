// Package signing has the leader sign the certificate requests that were approved
// and are for the cluster's own authority, as Kubernetes' csrsigning controller does.
// It is here, and not among the controllers, because only servers hold the key.
package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

const (
	// interval is how often the leader looks for requests. What was not changed since
	// it looked is not looked at again.
	interval = time.Second

	requests = "certificatesigningrequests.certificates.k8s.io"
	// shortest is the shortest life of a certificate, whatever was asked for.
	shortest = 10 * time.Minute
)

// Replica is the replicated state, as far as it is needed here. Nothing blocks.
type Replica interface {
	Store() *state.Store
	IsLeader() bool
}

// Config is what New needs.
type Config struct {
	// Name of this server.
	Name      string
	Authority *pki.CA
	Objects   *objects.Service
	Replica   Replica
	Logger    *slog.Logger
}

// Signer signs.
type Signer struct {
	config Config
	logger *slog.Logger
	kind   *registry.Kind
	seen   uint64 // the newest revision of a request that was looked at
}

// New returns a Signer; Run runs it.
func New(config Config) (*Signer, error) {
	if config.Authority == nil || config.Objects == nil || config.Replica == nil || config.Logger == nil {
		return nil, errors.New("new signer: authority, objects, replica and logger are required")
	}
	kind, ok := config.Objects.Kinds().ByStoreResource(requests)
	if !ok {
		return nil, fmt.Errorf("new signer: %s are not served", requests)
	}
	return &Signer{config: config, kind: kind, logger: config.Logger.With("component", "signing")}, nil
}

// Run signs while this server leads, until ctx ends.
func (s *Signer) Run(ctx context.Context) error {
	id := pki.ServerIdentity(s.config.Name)
	asServer := access.WithUser(ctx, access.User{Name: id.User, Groups: id.Groups})
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !s.config.Replica.IsLeader() {
			s.seen = 0
			continue
		}
		s.look(asServer)
	}
}

// look signs what is to be signed. What cannot be written is looked at again.
func (s *Signer) look(ctx context.Context) {
	newest, failed := s.seen, false
	for e := range s.config.Replica.Store().View().List(requests, "") {
		if e.ModRevision <= s.seen {
			continue
		}
		newest = max(newest, e.ModRevision)
		if err := s.settle(ctx, e); err != nil && ctx.Err() == nil {
			failed = true
			s.logger.Warn("sign certificate request", "name", e.Key.Name, "error", err)
		}
	}
	if !failed {
		s.seen = newest
	}
}

// settle signs one request, or notes that it cannot be signed.
func (s *Signer) settle(ctx context.Context, e *state.Entry) error {
	csr := &certificatesv1.CertificateSigningRequest{}
	if err := csr.Unmarshal(e.Value()); err != nil {
		return fmt.Errorf("decode request: %w", err)
	}
	check, ours := policies[csr.Spec.SignerName]
	if !ours || !approved(csr) || len(csr.Status.Certificate) > 0 {
		return nil
	}
	request, err := pki.ParseRequest(csr.Spec.Request)
	if err != nil {
		return fmt.Errorf("parse request: %w", err)
	}
	if err := check(request, csr.Spec.Usages); err != nil {
		csr.Status.Conditions = append(csr.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue,
			Reason: "SignerValidationFailure", Message: err.Error(), LastUpdateTime: metav1.Now(),
		})
	} else if csr.Status.Certificate, err = s.config.Authority.SignAsked(request, names(csr.Spec.Usages), life(csr.Spec.ExpirationSeconds)); err != nil {
		return err
	}
	csr.ResourceVersion = fmt.Sprint(e.ModRevision)
	t := objects.Target{Kind: s.kind, Name: csr.Name, Subresource: "status"}
	_, err = s.config.Objects.Update(ctx, t, csr, false)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // It comes again with what it is now, or not at all.
	}
	return err
}

// approved tells whether a request is to be signed: somebody said so, and nobody no.
func approved(csr *certificatesv1.CertificateSigningRequest) bool {
	yes := false
	for _, c := range csr.Status.Conditions {
		switch c.Type {
		case certificatesv1.CertificateApproved:
			yes = true
		case certificatesv1.CertificateDenied, certificatesv1.CertificateFailed:
			return false
		}
	}
	return yes
}

func names(usages []certificatesv1.KeyUsage) []string {
	out := make([]string, len(usages))
	for i, u := range usages {
		out[i] = string(u)
	}
	return out
}

// life is how long the certificate is valid: as asked, within bounds.
func life(seconds *int32) time.Duration {
	if seconds == nil {
		return pki.CertificateLife
	}
	return min(max(time.Duration(*seconds)*time.Second, shortest), pki.CertificateLife)
}
