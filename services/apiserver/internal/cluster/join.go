package cluster

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/gossip"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// Join implements ClusterService.
func (s *Service) Join(ctx context.Context, r *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
	if err := s.checkToken(ctx, r.GetSecret(), r.GetRole()); err != nil {
		return nil, err
	}
	if problems := validation.IsDNS1123Subdomain(r.GetName()); len(problems) > 0 {
		return nil, status.Errorf(codes.InvalidArgument, "name %q: %s", r.GetName(), problems[0])
	}
	id, addresses, err := s.grant(r)
	if err != nil {
		return nil, err
	}
	certPEM, err := s.config.Authority.SignRequest(r.GetCsrDer(), id, addresses, pki.CertificateLife)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	view := s.config.Replica.Store().View()
	out := &clusterv1.JoinResponse{
		CertificatePem: certPEM,
		CaPem:          s.config.Authority.CertificatePEM(),
		ApiAddresses:   s.sortedAddresses(view, func(a Addresses) string { return a.API }),
		ClusterId:      s.config.ClusterID,
		Epoch:          s.config.Replica.Epoch(),
	}
	if _, apart := servicesApart[r.GetRole()]; !apart {
		out.GossipKey = s.config.GossipKey
		out.GossipAddresses = s.sortedAddresses(view, func(a Addresses) string { return a.Gossip })
	}
	if r.GetRole() == clusterv1.CertificateRole_CERTIFICATE_ROLE_SERVER {
		out.CaKeyPem = s.config.Authority.KeyPEM()
		out.ServiceAccountKeyPem = s.config.ServiceAccountKeyPEM
	}
	s.logger.Info("certificate issued", "user", id.User, "name", r.GetName())
	return out, nil
}

// servicesApart are the roles that work through the API and nothing else, and the
// users that they are. They do not gossip, and need no secret of the cluster.
var servicesApart = map[clusterv1.CertificateRole]string{
	clusterv1.CertificateRole_CERTIFICATE_ROLE_SCHEDULER:          pki.UserScheduler,
	clusterv1.CertificateRole_CERTIFICATE_ROLE_CONTROLLER_MANAGER: pki.UserControllerManager,
}

// grant decides what the certificate will say.
func (s *Service) grant(r *clusterv1.JoinRequest) (pki.Identity, []string, error) {
	// All but servers are known by who they are, so their certificates hold no
	// address: one that did could pass for a server's.
	if r.GetRole() != clusterv1.CertificateRole_CERTIFICATE_ROLE_SERVER && len(r.GetAddresses()) > 0 {
		return pki.Identity{}, nil, status.Errorf(codes.InvalidArgument, "the certificate of a %s holds no addresses", roleName(r.GetRole()))
	}
	if user, apart := servicesApart[r.GetRole()]; apart {
		return pki.Identity{User: user}, nil, nil
	}
	switch r.GetRole() {
	case clusterv1.CertificateRole_CERTIFICATE_ROLE_NODE:
		if s.alive(r.GetName()) {
			return pki.Identity{}, nil, status.Errorf(codes.AlreadyExists,
				"node %q is in the cluster and alive: choose another --name, or stop its agent if this machine shall take its place", r.GetName())
		}
		return pki.NodeIdentity(r.GetName()), nil, nil
	case clusterv1.CertificateRole_CERTIFICATE_ROLE_SERVER:
		for _, m := range s.config.Members() {
			if m.ID == r.GetName() {
				return pki.Identity{}, nil, status.Errorf(codes.AlreadyExists,
					"server %q is a member already: start it with its own data directory, choose another --name, or, if it is lost, remove it first (`muster members remove %s`)", r.GetName(), r.GetName())
			}
		}
		return pki.ServerIdentity(r.GetName()), r.GetAddresses(), nil
	}
	return pki.Identity{}, nil, status.Error(codes.InvalidArgument, "role: a node, a server, a scheduler or a controller manager can join")
}

// alive says whether a node of this name gossips. A machine that lost its disk
// may join under its old name; two at once would fight over one Node.
func (s *Service) alive(node string) bool {
	if s.pool == nil {
		return false
	}
	members, _ := s.pool.Members()
	return slices.ContainsFunc(members, func(m gossip.Member) bool {
		return m.Role == gossip.Node && m.Name == node && m.State == gossip.Alive
	})
}

// Renew implements ClusterService. Identity and addresses are those of the
// certificate that the caller shows.
func (s *Service) Renew(ctx context.Context, r *clusterv1.RenewRequest) (*clusterv1.RenewResponse, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "the call has no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil, status.Error(codes.Unauthenticated, "renewal needs the certificate that is to be renewed")
	}
	old := info.State.PeerCertificates[0]
	addresses := append([]string(nil), old.DNSNames...)
	for _, ip := range old.IPAddresses {
		addresses = append(addresses, ip.String())
	}
	certPEM, err := s.config.Authority.SignRequest(r.GetCsrDer(), pki.IdentityOf(old), addresses, pki.CertificateLife)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, fmt.Sprintf("renew: %v", err))
	}
	return &clusterv1.RenewResponse{CertificatePem: certPEM}, nil
}

func callerName(ctx context.Context) string {
	user, _ := access.UserFrom(ctx)
	return user.Name
}

func serverUser(name string) string { return pki.ServerIdentity(name).User }
