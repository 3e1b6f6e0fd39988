package auth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"k8s.io/utils/lru"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
)

// knownCertificates bounds how many callers' certificates are remembered.
const knownCertificates = 1024

// ServiceAccounts verifies tokens of service accounts.
type ServiceAccounts interface {
	// Looks tells whether the token may be one. It does not block.
	Looks(token string) bool
	// Verify returns whom it stands for, and those of the audiences that it is good for.
	Verify(ctx context.Context, token string, audiences []string) (access.User, []string, error)
	// Audiences are those of this API.
	Audiences() []string
}

// AuthenticatorConfig is what NewAuthenticator needs.
type AuthenticatorConfig struct {
	Tokens *Tokens
	// Verify checks a certificate against the cluster's authority and the clock.
	Verify func(*x509.Certificate) error
	// ServiceAccounts verifies their tokens; nil takes none.
	ServiceAccounts ServiceAccounts
	// Authorizer says who may act in another's name; nil lets nobody.
	Authorizer *Authorizer
}

// Authenticator tells who calls, at both doors: by a client certificate or by a
// bearer token, and in whose name. For RPCs the TLS handshake has verified the
// certificate. For HTTP it is verified here, as in Kubernetes: one that is foreign or
// has expired is answered with 401 and a Status, where a failed handshake would leave
// kubectl with a TLS alert, and with retries.
type Authenticator struct {
	config   AuthenticatorConfig
	verified *lru.Cache // of [sha256.Size]byte
	users    *lru.Cache // access.User by *x509.Certificate
}

// NewAuthenticator returns an Authenticator.
func NewAuthenticator(config AuthenticatorConfig) *Authenticator {
	return &Authenticator{config: config, verified: lru.New(knownCertificates), users: lru.New(knownCertificates)}
}

// Authenticate returns the caller of an HTTP request; without credentials it is
// the anonymous user. An error is of the credentials, unless it is an API status: then
// the caller, who is returned, may not act in the name that it wants to.
func (a *Authenticator) Authenticate(r *http.Request) (access.User, error) {
	user, err := a.caller(r)
	if err != nil || !Impersonates(r.Header) {
		return user, err
	}
	return a.impersonate(user, r.Header)
}

func (a *Authenticator) caller(r *http.Request) (access.User, error) {
	var refused error
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		leaf := r.TLS.PeerCertificates[0]
		if refused = a.check(leaf); refused == nil {
			return a.certified(leaf), nil
		}
	}
	if secret, ok := bearer(r.Header.Get("Authorization")); ok {
		return a.byToken(r.Context(), secret)
	}
	return anonymous(), refused
}

// check verifies a signature once only, and the dates each time.
func (a *Authenticator) check(leaf *x509.Certificate) error {
	now := time.Now()
	inTime := now.After(leaf.NotBefore) && now.Before(leaf.NotAfter)
	if _, known := a.users.Get(leaf); known && inTime {
		return nil
	}
	key := sha256.Sum256(leaf.Raw)
	if _, known := a.verified.Get(key); known && inTime {
		return nil
	}
	if err := a.config.Verify(leaf); err != nil {
		return err
	}
	a.verified.Add(key, nil)
	return nil
}

// certified returns the user whom a certificate, which was verified, names.
func (a *Authenticator) certified(leaf *x509.Certificate) access.User {
	if user, ok := a.users.Get(leaf); ok {
		return user.(access.User)
	}
	id, sum := pki.IdentityOf(leaf), sha256.Sum256(leaf.Raw)
	user := authenticated(access.User{Name: id.User, Groups: id.Groups, Extra: map[string][]string{
		"authentication.kubernetes.io/credential-id": {"X509SHA256=" + hex.EncodeToString(sum[:])},
	}})
	a.users.Add(leaf, user)
	return user
}

// byToken returns whom a bearer token stands for.
func (a *Authenticator) byToken(ctx context.Context, secret string) (access.User, error) {
	user, _, err := a.Review(ctx, secret, nil)
	return user, err
}

// Review returns whom a bearer token stands for and which of the audiences it is good
// for. No audiences are those of this API; a token that no service account has is good
// for this API alone.
func (a *Authenticator) Review(ctx context.Context, secret string, audiences []string) (access.User, []string, error) {
	accounts := a.config.ServiceAccounts
	if accounts == nil {
		user, err := a.config.Tokens.verify(ctx, secret)
		return authenticated(user), audiences, err
	}
	if len(audiences) == 0 {
		audiences = accounts.Audiences()
	}
	if accounts.Looks(secret) {
		return accounts.Verify(ctx, secret, audiences)
	}
	good := slices.DeleteFunc(slices.Clone(audiences), func(s string) bool { return !slices.Contains(accounts.Audiences(), s) })
	if len(good) == 0 {
		return access.User{}, nil, errors.New("the token is good for none of the audiences")
	}
	user, err := a.config.Tokens.verify(ctx, secret)
	return authenticated(user), good, err
}

// AuthenticateRPC returns the caller of an RPC.
func (a *Authenticator) AuthenticateRPC(ctx context.Context) (access.User, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	user, err := a.rpcCaller(ctx, md)
	if err != nil {
		return user, err
	}
	header := http.Header{}
	for key, values := range md {
		if strings.HasPrefix(key, "impersonate-") {
			header[textproto.CanonicalMIMEHeaderKey(key)] = values
		}
	}
	if len(header) == 0 {
		return user, nil
	}
	return a.impersonate(user, header)
}

func (a *Authenticator) rpcCaller(ctx context.Context, md metadata.MD) (access.User, error) {
	for _, header := range md.Get("authorization") {
		if secret, ok := bearer(header); ok {
			return a.byToken(ctx, secret)
		}
	}
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			return a.certified(info.State.PeerCertificates[0]), nil
		}
	}
	if user, err := access.UserFromPeer(ctx); err != nil {
		return user, err
	}
	return anonymous(), nil
}

func (a *Authenticator) impersonate(user access.User, header http.Header) (access.User, error) {
	if a.config.Authorizer == nil {
		return access.User{}, errors.New("nobody may act in another's name here")
	}
	as, err := a.config.Authorizer.Impersonate(user, header)
	if err != nil {
		return user, err
	}
	return as, nil
}

func bearer(header string) (string, bool) {
	scheme, secret, ok := strings.Cut(strings.TrimSpace(header), " ")
	secret = strings.TrimSpace(secret)
	return secret, ok && strings.EqualFold(scheme, "Bearer") && secret != ""
}

// authenticated adds the group of all who showed who they are.
func authenticated(user access.User) access.User {
	if !slices.Contains(user.Groups, access.Authenticated) {
		user.Groups = append(slices.Clip(user.Groups), access.Authenticated)
	}
	return user
}

func anonymous() access.User {
	return access.User{Name: access.Anonymous, Groups: []string{access.Unauthenticated}}
}
