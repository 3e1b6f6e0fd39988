package apiserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/internal/version"
	"github.com/musterhq/muster/services/apiserver/internal/admission"
	"github.com/musterhq/muster/services/apiserver/internal/agents"
	"github.com/musterhq/muster/services/apiserver/internal/bootstrap"
	"github.com/musterhq/muster/services/apiserver/internal/cluster"
	"github.com/musterhq/muster/services/apiserver/internal/expiry"
	"github.com/musterhq/muster/services/apiserver/internal/images"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/rest"
	"github.com/musterhq/muster/services/apiserver/internal/roles"
	"github.com/musterhq/muster/services/apiserver/internal/signing"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

func (s *Server) openReplica() (err error) {
	peers := s.config.KeyPair.PeerTLS(pki.IsServer)
	s.replica, err = replica.Open(replica.Config{
		ID: s.config.Name, ClusterID: s.config.ClusterID, Dir: filepath.Join(s.config.DataDir, "raft"),
		Advertise: s.config.advertised(s.config.RaftListener), Listener: s.config.RaftListener, Dial: s.config.Dial,
		ServerTLS: peers, ClientTLS: peers, Bootstrap: s.config.Bootstrap, InMemory: s.config.InMemory,
		NonVoter: s.config.NonVoter, Epoch: s.config.Epoch,
		Store: state.New(), Logger: s.config.Logger.With("component", "replica"),
		Timing: replica.Timing{
			SnapshotInterval:  s.config.SnapshotInterval,
			SnapshotThreshold: s.config.SnapshotEntries, TrailingLogs: s.config.SnapshotEntries,
		},
	})
	return err
}

// wire makes the parts over the replica.
func (s *Server) wire() (err error) {
	kinds := catalog.New(s.config.registryOptions())
	if err := s.wireAccess(); err != nil {
		return err
	}
	answers, err := s.answers()
	if err != nil {
		return err
	}
	s.objects, err = objects.New(objects.Config{
		Kinds: kinds, Replica: s.replica, Authorizer: s.authorizer, Answers: answers,
		RootCA: s.config.KeyPair.CAPEM(), Admission: admission.Options{TokenVolume: s.accounts != nil}, Now: s.config.Now,
	})
	if err != nil {
		return err
	}
	if err := s.wireCluster(); err != nil {
		return err
	}
	s.roles, err = roles.New(roles.Config{
		Objects: s.objects, Store: s.replica.Store(), Name: s.config.Name, Leading: s.replica.IsLeader, Logger: s.config.Logger,
	})
	if err != nil {
		return err
	}
	s.keeper, err = bootstrap.New(bootstrap.Config{
		Objects: s.objects, Name: s.config.Name, ServiceCIDR: s.config.ServiceCIDR, Addresses: s.addresses, Leading: s.replica.IsLeader,
		Roles: s.roles.Ensure, Logger: s.config.Logger,
	})
	if err != nil {
		return err
	}
	if s.sweeper, err = expiry.New(expiry.Config{Replica: s.replica, Now: s.config.Now, Logger: s.config.Logger}); err != nil {
		return err
	}
	s.signer, err = signing.New(signing.Config{
		Name: s.config.Name, Authority: s.config.Authority, Objects: s.objects, Replica: s.replica, Logger: s.config.Logger,
	})
	if err != nil {
		return err
	}
	if err := s.wireREST(); err != nil {
		return err
	}
	return s.wireGRPC()
}

func (s *Server) wireCluster() (err error) {
	advertise, err := netip.ParseAddr(s.config.AdvertiseAddress)
	if err != nil {
		return err
	}
	s.cluster, err = cluster.New(cluster.Config{
		Name: s.config.Name, ClusterID: s.config.ClusterID, Authority: s.config.Authority, Replica: s.replica,
		Addresses: cluster.Addresses{
			Raft: s.config.advertised(s.config.RaftListener), API: s.config.advertised(s.config.GRPCListener),
			REST: s.config.advertised(s.config.RESTListener), Gossip: s.gossipAddress(), Version: version.Version,
		},
		ServiceAccountKeyPEM: s.config.ServiceAccountKeyPEM, Members: s.members, Bearers: s.tokens,
		GossipKey: s.config.GossipKey, GossipListen: s.config.GossipListen, GossipAdvertise: advertise,
		GossipSeeds: s.config.GossipSeeds, GossipTransport: s.config.GossipTransport,
		RemoveDeadAfter: s.config.RemoveDeadAfter, Logger: s.config.Logger,
	})
	return err
}

func (s *Server) wireREST() error {
	client := &http.Transport{TLSClientConfig: s.config.KeyPair.PeerTLS(pki.IsServer), ForceAttemptHTTP2: true}
	if dial := s.config.Dial; dial != nil {
		client.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, address) }
	}
	registry, err := images.New(images.Config{
		Dir: filepath.Join(s.config.DataDir, "images"), Replica: s.replica, Peers: s.cluster.RESTAddresses,
		Client: &http.Client{Transport: client}, Logger: s.config.Logger,
	})
	if err != nil {
		return err
	}
	documents, err := s.documents()
	if err != nil {
		return err
	}
	handler, err := rest.New(rest.Config{
		Objects: s.objects, Authenticator: s.authn, Agents: agents.New(s.config.KeyPair, s.config.Dial), Gate: s.gate,
		Version: version.Version, Commit: version.Commit, Date: version.Date,
		Extra: map[string]http.Handler{"/v2/": registry}, Documents: documents, Audit: s.audit, Logger: s.config.Logger,
	})
	if err != nil {
		return err
	}
	s.rest = newHTTPServer(handler, s.logger)
	s.rest.TLSConfig = s.config.KeyPair.ServerTLS(tls.RequestClientCert, "h2", "http/1.1") // The authenticator verifies the certificate.
	drained(s.rest)
	return nil
}
