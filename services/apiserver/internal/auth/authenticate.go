package auth

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
)

// Authenticator tells who calls, at both doors: by a client certificate, which
// the TLS handshake has verified, or by a bearer token.
type Authenticator struct{ tokens *Tokens }

// NewAuthenticator returns an Authenticator.
func NewAuthenticator(tokens *Tokens) *Authenticator { return &Authenticator{tokens: tokens} }

// Authenticate returns the caller of an HTTP request; without credentials it is
// the anonymous user.
func (a *Authenticator) Authenticate(r *http.Request) (access.User, error) {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		id := pki.IdentityOf(r.TLS.PeerCertificates[0])
		return access.User{Name: id.User, Groups: id.Groups}, nil
	}
	if secret, ok := bearer(r.Header.Get("Authorization")); ok {
		return a.tokens.verify(r.Context(), secret)
	}
	return anonymous(), nil
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
