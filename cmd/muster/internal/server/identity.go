// Package server runs an apiserver, and with it, in the same process, a scheduler
// and a controller manager that call it as anyone would.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// joinTimeout is how long a server tries to reach those of its token.
const joinTimeout = 2 * time.Minute

// Identity says who a server is and where it keeps that.
type Identity struct {
	DataDir, Name, AdvertiseAddress string
	ClusterName                     string
}

// complete fills in what was not given.
func (i *Identity) complete() error {
	dir, err := filepath.Abs(i.DataDir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	i.DataDir = dir
	if i.Name, err = provision.HostName(i.Name); err != nil {
		return err
	}
	address, err := provision.HostAddress("advertise-address", i.AdvertiseAddress)
	if err != nil {
		return err
	}
	i.AdvertiseAddress = address.String()
	return nil
}

// Kubeconfig is where Init writes the administrator's.
func (i *Identity) Kubeconfig() string { return filepath.Join(i.DataDir, "kubeconfig") }

// Init makes a new cluster whose first server this is.
func (i *Identity) Init() error {
	if err := i.complete(); err != nil {
		return err
	}
	if member, err := join.IsMember(i.DataDir); err != nil {
		return err
	} else if member {
		return fmt.Errorf("%s holds a server's identity already: start it with `muster server --data-dir %s`, or choose another directory", i.DataDir, i.DataDir)
	}
	if err := i.refuseRemains("raft", "pki/ca.key"); err != nil {
		return err
	}
	if err := os.MkdirAll(i.DataDir, 0o700); err != nil {
		return fmt.Errorf("make data directory (--data-dir chooses another one): %w", err)
	}
	failpoint.Hit("server/init/begin")
	cluster, err := provision.NewCluster(i.ClusterName)
	if err != nil {
		return err
	}
	servers := []string{i.AdvertiseAddress}
	if err := cluster.WriteAdmin(i.Kubeconfig(), i.ClusterName, provision.Address(i.AdvertiseAddress, provision.RESTPort), servers); err != nil {
		return err
	}
	failpoint.Hit("server/init/admin")
	return cluster.WriteServer(provision.Server{DataDir: i.DataDir, Name: i.Name, Addresses: servers, Bootstrap: true, Servers: servers})
}

// refuseRemains keeps a new identity from taking the place of one that is only
// damaged: without the old CA nobody would be let in any more.
func (i *Identity) refuseRemains(names ...string) error {
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(i.DataDir, name)); err == nil {
			return fmt.Errorf("%s holds a server's %s, but its membership.json is missing: restore that file from a backup, or move the whole directory away to begin anew", i.DataDir, name)
		}
	}
	return nil
}

// ensure makes the directory a server's: it is one already, or a token lets it
// join, or it forms a new cluster.
func (i *Identity) ensure(ctx context.Context, logger *slog.Logger, token string, nonVoter bool) (join.Membership, error) {
	if err := i.complete(); err != nil {
		return join.Membership{}, err
	}
	member, err := join.IsMember(i.DataDir)
	if err != nil {
		return join.Membership{}, err
	}
	switch {
	case member && token != "":
		err = join.CheckCluster(i.DataDir, token)
	case member:
	case token != "":
		err = i.join(ctx, logger, token, nonVoter)
	case nonVoter:
		err = errors.New("--non-voter: the first server of a cluster votes; give --join TOKEN to make this one a further server of another's cluster")
	default:
		err = i.Init()
	}
	if err != nil {
		return join.Membership{}, err
	}
	m, err := join.LoadMembership(i.DataDir)
	if err == nil {
		err = m.CheckService(i.DataDir, "")
	}
	if err == nil && m.Name != i.Name {
		err = fmt.Errorf("%s belongs to server %q, not %q: give --name %s, or choose another directory", i.DataDir, m.Name, i.Name, m.Name)
	}
	if err == nil && nonVoter && !m.NonVoter {
		err = fmt.Errorf("--non-voter: server %s votes; to make it one that does not, remove it (`muster members remove %s`), move %s away and join anew", m.Name, m.Name, i.DataDir)
	}
	return m, err
}

func (i *Identity) join(ctx context.Context, logger *slog.Logger, text string, nonVoter bool) error {
	token, err := join.ParseToken(text)
	if err != nil {
		return err
	}
	if err := i.refuseRemains("raft"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	granted, err := join.Join(ctx, join.Request{
		Token: token, Role: clusterv1.CertificateRole_CERTIFICATE_ROLE_SERVER, Name: i.Name,
		Addresses: pki.ServerAddresses(provision.KubernetesServiceIP, i.Name, i.AdvertiseAddress), Logger: logger,
	})
	if err != nil {
		return err
	}
	if granted.Authority == nil {
		return errors.New("join: the cluster did not hand over its CA")
	}
	cluster := provision.Cluster{
		CA: granted.Authority, ID: granted.Membership.ClusterID, Epoch: granted.Membership.Epoch,
		GossipKey: granted.Membership.GossipKey, ServiceAccountKeyPEM: granted.ServiceAccountKeyPEM,
	}
	servers, err := hosts(granted.Membership.APIAddresses)
	if err != nil {
		return err
	}
	return cluster.WriteServer(provision.Server{
		DataDir: i.DataDir, Name: i.Name, Addresses: []string{i.AdvertiseAddress}, NonVoter: nonVoter, Servers: append(servers, i.AdvertiseAddress),
	})
}

func hosts(addresses []string) ([]string, error) {
	var out []string
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("address %q of a server: %w", address, err)
		}
		out = append(out, host)
	}
	return out, nil
}
