package auth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	"k8s.io/utils/lru"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
)

// knownCertificates bounds how many callers' certificates are remembered.
const knownCertificates = 1024

// Authenticator tells who calls, at both doors: by a client certificate or by a
// bearer token. For RPCs the TLS handshake has verified the certificate. For HTTP
// it is verified here, as in Kubernetes: one that is foreign or has expired is
// answered with 401 and a Status, where a failed handshake would leave kubectl
// with a TLS alert, and with retries.
type Authenticator struct {
	tokens   *Tokens
	verify   func(*x509.Certificate) error
	verified *lru.Cache // of [sha256.Size]byte
}

// NewAuthenticator returns an Authenticator; verify checks a certificate against
// the cluster's authority and the clock.
func NewAuthenticator(tokens *Tokens, verify func(*x509.Certificate) error) *Authenticator {
	return &Authenticator{tokens: tokens, verify: verify, verified: lru.New(knownCertificates)}
}

// Authenticate returns the caller of an HTTP request; without credentials it is
// the anonymous user.
func (a *Authenticator) Authenticate(r *http.Request) (access.User, error) {
	var refused error
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		leaf := r.TLS.PeerCertificates[0]
		if refused = a.check(leaf); refused == nil {
			id := pki.IdentityOf(leaf)
			return access.User{Name: id.User, Groups: id.Groups}, nil
		}
	}
	if secret, ok := bearer(r.Header.Get("Authorization")); ok {
		return a.tokens.verify(r.Context(), secret)
	}
	return anonymous(), refused
}

// check verifies a signature once only, and the dates each time.
func (a *Authenticator) check(leaf *x509.Certificate) error {
	now, key := time.Now(), sha256.Sum256(leaf.Raw)
	if _, known := a.verified.Get(key); known && now.After(leaf.NotBefore) && now.Before(leaf.NotAfter) {
		return nil
	}
	if err := a.verify(leaf); err != nil {
		return err
	}
	a.verified.Add(key, nil)
	return nil
}

// AuthenticateRPC returns the caller of an RPC.
func (a *Authenticator) AuthenticateRPC(ctx context.Context) (access.User, error) {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		for _, header := range md.Get("authorization") {
			if secret, ok := bearer(header); ok {
				return a.tokens.verify(ctx, secret)
			}
		}
	}
	return access.UserFromPeer(ctx)
}

func bearer(header string) (string, bool) {
	scheme, secret, ok := strings.Cut(strings.TrimSpace(header), " ")
	secret = strings.TrimSpace(secret)
	return secret, ok && strings.EqualFold(scheme, "Bearer") && secret != ""
}

func anonymous() access.User {
	return access.User{Name: access.Anonymous, Groups: []string{"system:unauthenticated"}}
}
