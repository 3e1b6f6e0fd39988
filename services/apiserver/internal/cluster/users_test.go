package cluster_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// bearers remembers what it was asked for.
type bearers struct {
	user access.User
	life time.Duration
}

func (b *bearers) Issue(_ context.Context, user access.User, life time.Duration) (string, error) {
	b.user, b.life = user, life
	return "secret", nil
}

func TestCreateUserToken(t *testing.T) {
	f := start(t)
	admin := f.as(t, f.pair(t, pki.AdminIdentity()))
	for _, c := range []struct {
		name    string
		request *clusterv1.CreateUserTokenRequest
		want    codes.Code
	}{
		{"administrator", &clusterv1.CreateUserTokenRequest{User: "alice", Groups: []string{"system:masters"}, TtlSeconds: 60}, codes.OK},
		{"no name", &clusterv1.CreateUserTokenRequest{}, codes.InvalidArgument},
		{"a node's name", &clusterv1.CreateUserTokenRequest{User: "system:node:n1"}, codes.InvalidArgument},
		{"servers' group", &clusterv1.CreateUserTokenRequest{User: "bob", Groups: []string{"muster:servers"}}, codes.InvalidArgument},
		{"nodes' group", &clusterv1.CreateUserTokenRequest{User: "bob", Groups: []string{"system:nodes"}}, codes.InvalidArgument},
		{"for ever", &clusterv1.CreateUserTokenRequest{User: "bob", TtlSeconds: 1 << 32}, codes.InvalidArgument},
	} {
		made, err := admin.CreateUserToken(t.Context(), c.request)
		if status.Code(err) != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil && made.GetToken() != "secret" {
			t.Errorf("%s: token %q", c.name, made.GetToken())
		}
	}
	if got := f.bearers; got.user.Name != "alice" || got.life != time.Minute {
		t.Errorf("issued %+v", got)
	}
	node := f.as(t, f.pair(t, pki.NodeIdentity("n1")))
	if _, err := node.CreateUserToken(t.Context(), &clusterv1.CreateUserTokenRequest{User: "alice"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a node makes tokens of users: %v", err)
	}
}
