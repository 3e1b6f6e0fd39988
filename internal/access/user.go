// Package access is who calls, and which RPCs a caller's role may call at all.
// What a role may do to which object is decided behind it.
package access

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/pki"
	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
)

// Anonymous is the caller without credentials, named as Kubernetes names it.
const Anonymous = "system:anonymous"

// The groups of all who showed who they are, and of those who did not.
const (
	Authenticated   = "system:authenticated"
	Unauthenticated = "system:unauthenticated"
)

// User is a caller. What it refers to is shared and never modified.
type User struct {
	Name   string
	Groups []string
	// UID tells users of one name apart, where somebody counts them; else it is empty.
	UID string
	// Extra is what else is known of the user, by key: a token's pod.
	Extra map[string][]string
	// By is who acts in the user's name; nil is the user.
	By *User
}

// Role is the one role that the user has. Groups decide first: a name alone
// makes nobody a server or a node.
func (u User) Role() accessv1.Role {
	switch {
	case slices.Contains(u.Groups, pki.GroupAdmins):
		return accessv1.Role_ROLE_ADMIN
	case slices.Contains(u.Groups, pki.GroupServers):
		return accessv1.Role_ROLE_SERVER
	case u.Name == pki.UserScheduler:
		return accessv1.Role_ROLE_SCHEDULER
	case u.Name == pki.UserControllerManager:
		return accessv1.Role_ROLE_CONTROLLER_MANAGER
	case u.NodeName() != "":
		return accessv1.Role_ROLE_NODE
	case u.Name == "" || u.Name == Anonymous:
		return accessv1.Role_ROLE_ANONYMOUS
	}
	return accessv1.Role_ROLE_USER
}

// NodeName is the node whose agent the user is, or "" when it is none.
func (u User) NodeName() string {
	return pki.Identity{User: u.Name, Groups: u.Groups}.NodeName()
}

type userKey struct{}

// WithUser returns a context that carries the caller.
func WithUser(ctx context.Context, u User) context.Context {
	return context.WithValue(ctx, userKey{}, u)
}

// UserFrom returns the caller that WithUser put there.
func UserFrom(ctx context.Context) (User, bool) {
	u, ok := ctx.Value(userKey{}).(User)
	return u, ok
}

// UserFromPeer reads the caller from the TLS certificate that it showed, which
// the handshake has verified. A caller that showed none is anonymous.
func UserFromPeer(ctx context.Context) (User, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return User{}, status.Error(codes.Unauthenticated, "the call has no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return User{Name: Anonymous}, nil
	}
	id := pki.IdentityOf(info.State.PeerCertificates[0])
	return User{Name: id.User, Groups: id.Groups}, nil
}
