// Package pki is the cluster's certificate authority and what its members do
// with the certificates: every connection between them is TLS, and a caller is
// whoever its certificate says.
package pki

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// The users and groups that certificates of the cluster carry, as Kubernetes
// names them where it has the notion.
const (
	GroupAdmins           = "system:masters"
	GroupServers          = "muster:servers"
	GroupNodes            = "system:nodes"
	UserScheduler         = "system:kube-scheduler"
	UserControllerManager = "system:kube-controller-manager"

	userServerPrefix = "muster:server:"
	userNodePrefix   = "system:node:"
)

// Identity is the subject of a client certificate: CN is the user, O the groups.
type Identity struct {
	User   string
	Groups []string
}

// AdminIdentity is the cluster administrator's.
func AdminIdentity() Identity {
	return Identity{User: "kubernetes-admin", Groups: []string{GroupAdmins}}
}

// ServerIdentity is that of the apiserver of the given name.
func ServerIdentity(name string) Identity {
	return Identity{User: userServerPrefix + name, Groups: []string{GroupServers}}
}

// NodeIdentity is that of the agent on the given node.
func NodeIdentity(name string) Identity {
	return Identity{User: userNodePrefix + name, Groups: []string{GroupNodes}}
}

// IdentityOf reads a certificate's identity.
func IdentityOf(cert *x509.Certificate) Identity {
	return Identity{User: cert.Subject.CommonName, Groups: slices.Clone(cert.Subject.Organization)}
}

// NodeName is the node whose agent this is, or "" when it is none.
func (i Identity) NodeName() string {
	name, ok := strings.CutPrefix(i.User, userNodePrefix)
	if !ok || !slices.Contains(i.Groups, GroupNodes) {
		return ""
	}
	return name
}

// IsServer is a check for PeerTLS: the peer must be an apiserver.
func IsServer(i Identity) error {
	if !slices.Contains(i.Groups, GroupServers) {
		return fmt.Errorf("peer %q is no server of this cluster", i.User)
	}
	return nil
}

// IsNode returns a check for PeerTLS: the peer must be the agent of that node.
func IsNode(name string) func(Identity) error {
	return func(i Identity) error {
		if i.NodeName() != name {
			return fmt.Errorf("peer %q is not the agent of node %q", i.User, name)
		}
		return nil
	}
}

// ServerAddresses are what a server's certificate must be valid for: how
// clients inside and outside pods call the API, this machine, and what the
// caller adds (its own addresses, the cluster's service IP).
func ServerAddresses(extra ...string) []string {
	return append([]string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", "::1",
	}, extra...)
}

// IsAnyNode is a check for PeerTLS: the peer must be an agent, whichever.
func IsAnyNode(i Identity) error {
	if i.NodeName() == "" {
		return fmt.Errorf("peer %q is no agent of this cluster", i.User)
	}
	return nil
}

// IsUser returns a check for PeerTLS: the peer must be that user, as a scheduler
// that runs apart is.
func IsUser(user string) func(Identity) error {
	return func(i Identity) error {
		if i.User != user {
			return fmt.Errorf("peer %q is not %s", i.User, user)
		}
		return nil
	}
}
