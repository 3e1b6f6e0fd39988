package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// serversTable maps a server's name to its Addresses in JSON.
const serversTable = "_servers"

// rememberTimeout bounds taking back what a removal began that was refused.
const rememberTimeout = 5 * time.Second

func (s *Service) writeServer(ctx context.Context) error {
	value, err := json.Marshal(s.config.Addresses)
	if err != nil {
		return fmt.Errorf("announce server: %w", err)
	}
	view, err := s.config.Replica.Read(ctx)
	if err != nil {
		return fmt.Errorf("announce server: %w", err)
	}
	if entry, ok := view.Get(state.Key{Resource: serversTable, Name: s.config.Name}); ok && bytes.Equal(entry.Value(), value) {
		return nil
	}
	_, err = s.config.Replica.Apply(ctx, &storev1.Transaction{Operations: []*storev1.Operation{{
		Key:    &storev1.Key{Resource: serversTable, Name: s.config.Name},
		Action: storev1.Action_ACTION_PUT,
		Value:  value,
	}}})
	if err != nil {
		return fmt.Errorf("announce server: %w", err)
	}
	return nil
}

// servers reads what the servers announced, from a view; this server is always
// among them.
func (s *Service) servers(view state.View) map[string]Addresses {
	out := make(map[string]Addresses)
	for entry := range view.List(serversTable, "") {
		var a Addresses
		if err := json.Unmarshal(entry.Value(), &a); err != nil {
			s.logger.Warn("unreadable server entry", "server", entry.Key.Name, "error", err)
			continue
		}
		out[entry.Key.Name] = a
	}
	out[s.config.Name] = s.config.Addresses
	return out
}

// sortedAddresses returns one address of each server, this one's first.
func (s *Service) sortedAddresses(view state.View, pick func(Addresses) string) []string {
	servers := s.servers(view)
	var out []string
	for name, a := range servers {
		if address := pick(a); address != "" && name != s.config.Name {
			out = append(out, address)
		}
	}
	slices.Sort(out)
	return append([]string{pick(s.config.Addresses)}, out...)
}

// RESTAddresses are the other servers' Kubernetes addresses, host:port, by what
// this member knows.
func (s *Service) RESTAddresses() []string {
	return s.sortedAddresses(s.config.Replica.Store().View(), func(a Addresses) string { return a.REST })[1:]
}

func (s *Service) gossipSeeds(context.Context) []string {
	known := s.sortedAddresses(s.config.Replica.Store().View(), func(a Addresses) string { return a.Gossip })[1:]
	if len(known) == 0 {
		return s.config.GossipSeeds
	}
	return known
}

// ListMembers implements ClusterService. It answers from what this member
// knows, so that it answers without a leader too.
func (s *Service) ListMembers(ctx context.Context, r *clusterv1.ListMembersRequest) (*clusterv1.ListMembersResponse, error) {
	servers := s.servers(s.config.Replica.Store().View())
	out := &clusterv1.ListMembersResponse{ClusterId: s.config.ClusterID, Epoch: s.config.Replica.Epoch()}
	if r.GetWithState() {
		out.Members = s.config.Replica.Standings(ctx)
	} else {
		for _, m := range s.config.Members() {
			out.Members = append(out.Members, &clusterv1.Member{Id: m.ID, RaftAddress: m.Address, Leader: m.Leader, Voter: m.Voter})
		}
	}
	for _, m := range out.GetMembers() {
		a := servers[m.GetId()]
		m.ApiAddress, m.RestAddress, m.Version = a.API, a.REST, a.Version
	}
	slices.SortFunc(out.Members, func(a, b *clusterv1.Member) int { return strings.Compare(a.GetId(), b.GetId()) })
	return out, nil
}

// TransferLeadership implements ClusterService.
func (s *Service) TransferLeadership(ctx context.Context, r *clusterv1.TransferLeadershipRequest) (*clusterv1.TransferLeadershipResponse, error) {
	if r.GetId() != "" {
		m, err := s.member(r.GetId())
		if err != nil {
			return nil, err
		}
		if !m.Voter {
			return nil, status.Errorf(codes.FailedPrecondition, "server %q does not vote, and so cannot lead", m.ID)
		}
	}
	leader, err := s.config.Replica.TransferLeadership(ctx, r.GetId())
	if err != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "%v: `muster members` shows who is well", err)
	}
	s.logger.Info("leadership transferred", "leader", leader)
	return &clusterv1.TransferLeadershipResponse{Id: leader}, nil
}

// member returns a Raft member; NOT_FOUND says who there are.
func (s *Service) member(id string) (RaftMember, error) {
	var names []string
	for _, m := range s.config.Members() {
		if m.ID == id {
			return m, nil
		}
		names = append(names, m.ID)
	}
	slices.Sort(names)
	return RaftMember{}, status.Errorf(codes.NotFound, "server %q is no member; the members are %s", id, strings.Join(names, ", "))
}

// AddServer implements ClusterService.
func (s *Service) AddServer(ctx context.Context, r *clusterv1.AddServerRequest) (*clusterv1.AddServerResponse, error) {
	if user, want := callerName(ctx), serverUser(r.GetId()); user != want {
		return nil, status.Errorf(codes.PermissionDenied, "user %q may add itself only, not server %q", user, r.GetId())
	}
	if _, _, err := net.SplitHostPort(r.GetRaftAddress()); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "raft address %q: %v", r.GetRaftAddress(), err)
	}
	members := s.config.Members()
	if len(members) == 0 {
		// Servers that start together ask each other; waiting here would keep the
		// caller from the one that can add it.
		return nil, status.Error(codes.Unavailable, "this server is no member itself yet")
	}
	for _, m := range members {
		if m.ID == r.GetId() && m.Address == r.GetRaftAddress() && m.Voter == !r.GetNonVoter() {
			return &clusterv1.AddServerResponse{}, nil
		}
	}
	add := s.config.Replica.AddVoter
	if r.GetNonVoter() {
		add = s.config.Replica.AddNonvoter
	}
	if err := add(ctx, r.GetId(), r.GetRaftAddress()); err != nil {
		return nil, status.Errorf(codes.Unavailable, "add server %s at %s: %v", r.GetId(), r.GetRaftAddress(), err)
	}
	s.logger.Info("server added", "server", r.GetId(), "raft", r.GetRaftAddress(), "votes", !r.GetNonVoter())
	return &clusterv1.AddServerResponse{}, nil
}

// RemoveServer implements ClusterService.
func (s *Service) RemoveServer(ctx context.Context, r *clusterv1.RemoveServerRequest) (*clusterv1.RemoveServerResponse, error) {
	m, err := s.member(r.GetId())
	if err != nil {
		return nil, err
	}
	voters := 0
	for _, m := range s.config.Members() {
		if m.Voter {
			voters++
		}
	}
	if m.Voter && voters == 1 {
		return nil, status.Errorf(codes.FailedPrecondition, "server %q is the only member that votes: the cluster would be gone with it", r.GetId())
	}
	if err := s.takeOut(ctx, r.GetId()); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	s.logger.Info("server removed", "server", r.GetId())
	return &clusterv1.RemoveServerResponse{}, nil
}

// takeOut forgets a server's addresses and removes it. The removal comes last: a
// server that removes itself ends soon after it.
func (s *Service) takeOut(ctx context.Context, id string) error {
	key := &storev1.Key{Resource: serversTable, Name: id}
	entry, known := s.config.Replica.Store().View().Get(state.Key{Resource: serversTable, Name: id})
	forget := &storev1.Operation{Key: key, Action: storev1.Action_ACTION_DELETE}
	if _, err := s.config.Replica.Apply(ctx, &storev1.Transaction{Operations: []*storev1.Operation{forget}}); err != nil {
		return fmt.Errorf("forget the addresses of server %s: %w", id, err)
	}
	err := s.config.Replica.RemoveServer(ctx, id)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("remove server %s: %w", id, err)
	if !known || !slices.ContainsFunc(s.config.Members(), func(m RaftMember) bool { return m.ID == id }) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberTimeout)
	defer cancel()
	remember := &storev1.Operation{Key: key, Action: storev1.Action_ACTION_PUT, Value: entry.Value()}
	_, again := s.config.Replica.Apply(ctx, &storev1.Transaction{Operations: []*storev1.Operation{remember}})
	return errors.Join(err, again)
}
