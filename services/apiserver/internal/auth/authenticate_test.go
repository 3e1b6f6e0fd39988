package auth_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replica := objectstest.NewReplica()
		tokens := auth.NewTokens(replica)
		authn := auth.NewAuthenticator(tokens)
		secret, err := tokens.Issue(t.Context(), access.User{Name: "ci", Groups: []string{"builders"}}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for e := range replica.Store().View().List("_tokens", "") {
			if e.Key.Name == secret {
				t.Error("the token itself is in the state")
			}
		}
		call := func(header string) (access.User, error) {
			r := httptest.NewRequest("GET", "/api", nil)
			r.Header.Set("Authorization", header)
			return authn.Authenticate(r)
		}
		if user, err := call("Bearer " + secret); err != nil || user.Name != "ci" || len(user.Groups) != 1 {
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
