package auth_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

func TestCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := func(name string, ca *pki.CA) *pki.KeyPair {
			certPEM, keyPEM, err := ca.Issue(pki.Identity{User: name}, nil, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			out, err := pki.NewKeyPair(certPEM, keyPEM, ca.CertificatePEM())
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		ours, err := pki.NewCA("ours")
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := pki.NewCA("ours") // the same name, another key
		if err != nil {
			t.Fatal(err)
		}
		tokens := auth.NewTokens(objectstest.NewReplica())
		authn := auth.NewAuthenticator(auth.AuthenticatorConfig{Tokens: tokens, Verify: pair("server", ours).Verify})
		secret, err := tokens.Issue(t.Context(), access.User{Name: "ci"}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		call := func(pair *pki.KeyPair, header string) string {
			r := httptest.NewRequest("GET", "/api", nil)
			r.Header.Set("Authorization", header)
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf()}}
			user, err := authn.Authenticate(r)
			if err != nil {
				return "refused"
			}
			return user.Name
		}
		friend, stranger := pair("alice", ours), pair("alice", theirs)
		for range 2 { // the second time from memory
			if got := call(friend, ""); got != "alice" {
				t.Errorf("own certificate: %s", got)
			}
			if got := call(stranger, ""); got != "refused" {
				t.Errorf("foreign certificate: %s", got)
			}
		}
		if got := call(stranger, "Bearer "+secret); got != "ci" {
			t.Errorf("foreign certificate and a good token: %s", got)
		}
		time.Sleep(2 * time.Hour)
		if got := call(friend, ""); got != "refused" {
			t.Errorf("expired certificate: %s", got)
		}
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replica := objectstest.NewReplica()
		tokens := auth.NewTokens(replica)
		authn := auth.NewAuthenticator(auth.AuthenticatorConfig{Tokens: tokens})
		secret, err := tokens.Issue(t.Context(), access.User{Name: "ci", Groups: []string{"builders"}}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for e := range replica.Store().View().List("_bearers", "") {
			if e.Key.Name == secret {
				t.Error("the token itself is in the state")
			}
		}
		call := func(header string) (access.User, error) {
			r := httptest.NewRequest("GET", "/api", nil)
			r.Header.Set("Authorization", header)
			return authn.Authenticate(r)
		}
		if user, err := call("Bearer " + secret); err != nil || user.Name != "ci" || strings.Join(user.Groups, " ") != "builders system:authenticated" {
			t.Errorf("token: %+v, %v", user, err)
		}
		ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "bearer "+secret))
		if user, err := authn.AuthenticateRPC(ctx); err != nil || user.Name != "ci" {
			t.Errorf("token over gRPC: %+v, %v", user, err)
		}
		if user, err := call(""); err != nil || user.Name != access.Anonymous {
			t.Errorf("no token: %+v, %v", user, err)
		}
		if _, err := call("Bearer " + secret + "x"); err == nil {
			t.Error("a wrong token was taken")
		}
		time.Sleep(2 * time.Hour)
		if _, err := call("Bearer " + secret); err == nil {
			t.Error("an expired token was taken")
		}
	})
}
