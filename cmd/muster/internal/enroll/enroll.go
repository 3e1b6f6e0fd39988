// Package enroll makes a data directory a member's: it holds an identity already,
// or a join token gets one. Servers, which hold the cluster's keys and vote, have
// more to do; see package server.
package enroll

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// joinTimeout is how long a machine tries to reach the servers of its token.
const joinTimeout = 5 * time.Minute

// Kind is what a machine joins as.
type Kind struct {
	// Name, as `muster token create --role` takes it.
	Name string
	Role clusterv1.CertificateRole
	// Pair names the certificate's files.
	Pair string
	// Service is what join.Membership calls it; empty for a node.
	Service string
	// Identity that the certificate of one of this name has.
	Identity func(name string) pki.Identity
}

// Request says who joins and where it keeps its identity.
type Request struct {
	Kind Kind
	// Name; the host's when not given.
	Name, DataDir string
	// Token; not needed once the directory holds an identity.
	Token  string
	Logger *slog.Logger
}

// Member is who a data directory belongs to.
type Member struct {
	join.Membership
	// DataDir is absolute.
	DataDir string
	KeyPair *pki.KeyPair
}

// Ensure makes the directory a member's if it is none yet, and returns who it is.
func Ensure(ctx context.Context, r Request) (*Member, error) {
	var err error
	if r.DataDir, err = filepath.Abs(r.DataDir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if r.Name, err = provision.HostName(r.Name); err != nil {
		return nil, err
	}
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	m, err := join.LoadMembership(r.DataDir)
	if err != nil {
		return nil, err
	}
	if err := m.CheckService(r.DataDir, r.Kind.Service); err != nil {
		return nil, err
	}
	if m.Name != r.Name {
		return nil, fmt.Errorf("%s belongs to %s %q, not %q: give --name %s, or choose another directory", r.DataDir, r.Kind.Name, m.Name, r.Name, m.Name)
	}
	pair, err := r.pair()
	if err != nil {
		return nil, err
	}
	return &Member{Membership: m, DataDir: r.DataDir, KeyPair: pair}, nil
}

// enter joins by the token, unless that was done before.
func (r Request) enter(ctx context.Context) error {
	member, err := join.IsMember(r.DataDir)
	switch {
	case err != nil:
		return err
	case member && r.Token == "":
		return nil
	case member:
		return join.CheckCluster(r.DataDir, r.Token)
	case r.Token == "":
		return fmt.Errorf("%s holds no %s's identity yet: give a token with --join (`muster token create --role %s` on a server prints one)", r.DataDir, r.Kind.Name, r.Kind.Name)
	}
	token, err := join.ParseToken(r.Token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	granted, err := join.Join(ctx, join.Request{Token: token, Role: r.Kind.Role, Name: r.Name, Logger: r.Logger})
	if err != nil {
		return err
	}
	if err := granted.KeyPair.Save(join.PKIDir(r.DataDir), r.Kind.Pair); err != nil {
		return err
	}
	// The membership comes last: with it, the directory is whole.
	granted.Membership.Service = r.Kind.Service
	return granted.Membership.Save(r.DataDir)
}

// pair reads the certificate, which must be this member's and valid still.
func (r Request) pair() (*pki.KeyPair, error) {
	pair, err := join.LoadPair(r.DataDir, r.Kind.Pair)
	if err != nil {
		return nil, fmt.Errorf("%w: the %s's identity is damaged; move %s away and join again with a new token", err, r.Kind.Name, r.DataDir)
	}
	if got, want := pair.Identity().User, r.Kind.Identity(r.Name).User; got != want {
		return nil, fmt.Errorf("the certificate in %s is %q's, not %q's: move %s away and join again with a new token", join.PKIDir(r.DataDir), got, want, r.DataDir)
	}
	if leaf := pair.Leaf(); time.Now().After(leaf.NotAfter) {
		return nil, fmt.Errorf("the %s's certificate expired at %s: move %s away and join again with a new token", r.Kind.Name, leaf.NotAfter.Format(time.RFC3339), r.DataDir)
	}
	return pair, nil
}
