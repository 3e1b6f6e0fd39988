package cluster_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/gossip"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/internal/serve"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/cluster"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	node   = clusterv1.CertificateRole_CERTIFICATE_ROLE_NODE
	server = clusterv1.CertificateRole_CERTIFICATE_ROLE_SERVER
)

// oneMember is a replica of one member: what is applied is committed.
type oneMember struct {
	alone  bool // in no configuration
	mu     sync.Mutex
	index  uint64
	store  *state.Store
	voters map[string]string
}

func (r *oneMember) Apply(_ context.Context, tx *storev1.Transaction) (*storev1.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index++
	return r.store.Apply(r.index, &storev1.Command{Transactions: []*storev1.Transaction{tx}})[0], nil
}
func (r *oneMember) Read(context.Context) (state.View, error) { return r.store.View(), nil }
func (r *oneMember) Store() *state.Store                      { return r.store }
func (r *oneMember) AddVoter(_ context.Context, id, address string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == "broken" {
		return errors.New("no leader")
	}
	r.voters[id] = address
	return nil
}
func (r *oneMember) AddNonvoter(ctx context.Context, id, address string) error {
	return r.AddVoter(ctx, id, address)
}
func (r *oneMember) TransferLeadership(_ context.Context, id string) (string, error) {
	if id == "dead" {
		return "", errors.New("the next leader did not take over")
	}
	return id, nil
}
func (r *oneMember) Standings(context.Context) []*clusterv1.Member {
	return []*clusterv1.Member{{Id: "s1", State: clusterv1.MemberState_MEMBER_STATE_HEALTHY}}
}
func (r *oneMember) Silent() map[string]time.Duration { return nil }
func (r *oneMember) IsLeader() bool                   { return true }
func (r *oneMember) Epoch() uint64                    { return 3 }
func (r *oneMember) RemoveServer(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == "stays" {
		return errors.New("no leader")
	}
	delete(r.voters, id)
	return nil
}
func (r *oneMember) members() []cluster.RaftMember {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alone {
		return nil
	}
	out := []cluster.RaftMember{{ID: "s1", Address: "127.0.0.1:6444", Leader: true, Voter: true}}
	for id, address := range r.voters {
		out = append(out, cluster.RaftMember{ID: id, Address: address, Voter: true})
	}
	return out
}

func (r *oneMember) setAlone(alone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alone = alone
}

type fixture struct {
	bearers bearers
	ca      *pki.CA
	replica *oneMember
	address string
	key     []byte
	gossip  string
}

func freeAddress(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}

// start serves a ClusterService as the apiserver does: TLS, guard and all.
func start(t *testing.T) *fixture {
	t.Helper()
	ca, err := pki.NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{
		ca: ca, replica: &oneMember{store: state.New(), voters: map[string]string{}},
		address: lis.Addr().String(), key: bytes.Repeat([]byte{9}, 32), gossip: freeAddress(t),
	}
	service, err := cluster.New(cluster.Config{
		Name: "s1", ClusterID: "cluster-1", Authority: ca, ServiceAccountKeyPEM: []byte("sa"),
		Addresses: cluster.Addresses{Raft: "127.0.0.1:6444", API: f.address, REST: "127.0.0.1:6443", Gossip: f.gossip},
		Replica:   f.replica, Members: f.replica.members, GossipKey: f.key,
		GossipListen: f.gossip, GossipAdvertise: netip.MustParseAddr("127.0.0.1"), Bearers: &f.bearers,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	pair := f.pair(t, pki.ServerIdentity("s1"))
	guard := access.NewGuard(access.UserFromPeer)
	srv := serve.NewGRPCServer(credentials.NewTLS(pair.ServerTLS(tls.VerifyClientCertIfGiven, "h2")), guard)
	clusterv1.RegisterClusterServiceServer(srv, service)
	if err := guard.CheckServer(srv); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := serve.GRPC(ctx, slog.New(slog.DiscardHandler), lis, srv); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		if err := service.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return f
}

func (f *fixture) pair(t *testing.T, id pki.Identity) *pki.KeyPair {
	t.Helper()
	certPEM, keyPEM, err := f.ca.Issue(id, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(certPEM, keyPEM, f.ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (f *fixture) as(t *testing.T, pair *pki.KeyPair) clusterv1.ClusterServiceClient {
	t.Helper()
	conn, err := join.Connect(f.address, pair.PeerTLS(pki.IsServer, "h2"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return clusterv1.NewClusterServiceClient(conn)
}

func (f *fixture) token(t *testing.T, roles ...clusterv1.CertificateRole) join.Token {
	t.Helper()
	response, err := f.as(t, f.pair(t, pki.AdminIdentity())).CreateToken(t.Context(), &clusterv1.CreateTokenRequest{Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	token, err := join.ParseToken(response.GetToken())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestJoinAsNode(t *testing.T) {
	f := start(t)
	granted, err := join.Join(t.Context(), join.Request{Token: f.token(t), Role: node, Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	if got := granted.KeyPair.Identity().NodeName(); got != "n1" {
		t.Errorf("identity of node %q", got)
	}
	if granted.Authority != nil || granted.ServiceAccountKeyPEM != nil {
		t.Error("a node is given the cluster's keys")
	}
	m := granted.Membership
	if m.ClusterID != "cluster-1" || !bytes.Equal(m.GossipKey, f.key) || m.APIAddresses[0] != f.address || m.GossipAddresses[0] != f.gossip {
		t.Errorf("membership %+v", m)
	}

	client := f.as(t, granted.KeyPair)
	before := granted.KeyPair.Leaf().SerialNumber
	keyPEM, csr, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := client.Renew(t.Context(), &clusterv1.RenewRequest{CsrDer: csr})
	if err != nil {
		t.Fatal(err)
	}
	if err := granted.KeyPair.Replace(renewed.GetCertificatePem(), keyPEM); err != nil {
		t.Fatal(err)
	}
	if granted.KeyPair.Leaf().SerialNumber.Cmp(before) == 0 || granted.KeyPair.Identity().NodeName() != "n1" {
		t.Errorf("renewed as %v", granted.KeyPair.Identity())
	}
	if _, err := client.CreateToken(t.Context(), &clusterv1.CreateTokenRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a node makes tokens: %v", err)
	}
}

func TestJoinAsServer(t *testing.T) {
	f := start(t)
	granted, err := join.Join(t.Context(), join.Request{Token: f.token(t), Role: server, Name: "s2", Addresses: pki.ServerAddresses("127.0.0.2")})
	if err != nil {
		t.Fatal(err)
	}
	if granted.Authority == nil || granted.Authority.Pin() != f.ca.Pin() || string(granted.ServiceAccountKeyPEM) != "sa" {
		t.Fatal("a server is not given the cluster's keys")
	}
	if err := granted.KeyPair.Leaf().VerifyHostname("127.0.0.2"); err != nil {
		t.Error(err)
	}
	client := f.as(t, granted.KeyPair)
	f.replica.setAlone(true)
	if _, err := client.AddServer(t.Context(), &clusterv1.AddServerRequest{Id: "s2", RaftAddress: "127.0.0.2:6444"}); status.Code(err) != codes.Unavailable {
		t.Errorf("a server that is no member itself adds another: %v", err)
	}
	f.replica.setAlone(false)
	if _, err := client.AddServer(t.Context(), &clusterv1.AddServerRequest{Id: "s3", RaftAddress: "127.0.0.3:6444"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a server adds another: %v", err)
	}
	if _, err := client.AddServer(t.Context(), &clusterv1.AddServerRequest{Id: "s2", RaftAddress: "127.0.0.2:6444"}); err != nil {
		t.Fatal(err)
	}
	members, err := client.ListMembers(t.Context(), &clusterv1.ListMembersRequest{})
	if err != nil || len(members.GetMembers()) != 2 || members.GetMembers()[0].GetRestAddress() != "127.0.0.1:6443" {
		t.Errorf("members %v, %v", members, err)
	}
	_, err = join.Join(t.Context(), join.Request{Token: f.token(t), Role: server, Name: "s2"})
	if err == nil || !strings.Contains(err.Error(), "is a member already") {
		t.Errorf("a member's name is given away: %v", err)
	}
}

func TestJoinRefuses(t *testing.T) {
	f := start(t)
	good := f.token(t, node)
	wrong, unknown, foreign, expired := good, good, good, good
	wrong.Secret += "x"
	unknown.ID = "nobody"
	foreign.Pin = strings.Replace(foreign.Pin, foreign.Pin[8:10], "zz", 1)
	expired.ID = "old"
	if _, err := f.replica.Apply(t.Context(), &storev1.Transaction{Operations: []*storev1.Operation{{
		Key: &storev1.Key{Resource: "_tokens", Name: "old"}, Action: storev1.Action_ACTION_PUT,
		Value: bytes.ReplaceAll(f.entry(t, "_tokens", good.ID), []byte(time.Now().Add(24*time.Hour).UTC().Format("2006-")), []byte("2001-")),
	}}}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		request join.Request
		want    string
	}{
		{"wrong secret", join.Request{Token: wrong, Role: node, Name: "n"}, "the join token is wrong"},
		{"unknown token", join.Request{Token: unknown, Role: node, Name: "n"}, "the join token is wrong"},
		{"expired token", join.Request{Token: expired, Role: node, Name: "n"}, "expired at 2001-"},
		{"another role", join.Request{Token: good, Role: server, Name: "n"}, "does not let in a server"},
		{"bad name", join.Request{Token: good, Role: node, Name: "Not A Name"}, "lower case"},
		{"a node that wants to be a host", join.Request{Token: good, Role: node, Name: "n", Addresses: []string{"kubernetes"}}, "holds no addresses"},
		{"another cluster's pin", join.Request{Token: foreign, Role: node, Name: "n"}, "not of the cluster"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := join.Join(ctx, test.request)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func (f *fixture) entry(t *testing.T, table, name string) []byte {
	t.Helper()
	entry, ok := f.replica.store.View().Get(state.Key{Resource: table, Name: name})
	if !ok {
		t.Fatalf("no entry %s in %s", name, table)
	}
	return entry.Value()
}

func TestTokensAreKeptHashed(t *testing.T) {
	f := start(t)
	token := f.token(t)
	if bytes.Contains(f.entry(t, "_tokens", token.ID), []byte(token.Secret)) {
		t.Error("the secret is in the state")
	}
}

func TestWatchLiveness(t *testing.T) {
	f := start(t)
	stream, err := f.as(t, f.pair(t, pki.Identity{User: pki.UserControllerManager})).WatchLiveness(t.Context(), &clusterv1.WatchLivenessRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || len(first.GetNodes()) != 0 {
		t.Fatalf("first %v, %v", first, err)
	}
	pool, err := gossip.New(gossip.Config{
		Role: gossip.Node, Name: "n1", Listen: freeAddress(t), Advertise: netip.MustParseAddr("127.0.0.1"), Key: f.key,
		AgentAddress: "127.0.0.9:10250", Seeds: func(context.Context) []string { return []string{f.gossip} }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	done := make(chan error, 1)
	go func() { done <- pool.Run(ctx) }()
	for _, want := range []clusterv1.LivenessState{clusterv1.LivenessState_LIVENESS_STATE_ALIVE, clusterv1.LivenessState_LIVENESS_STATE_LEFT} {
		hint, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if n := hint.GetNodes()[0]; n.GetNode() != "n1" || n.GetState() != want || n.GetAgentAddress() != "127.0.0.9:10250" {
			t.Errorf("hint %v, want %v", n, want)
		}
		leave()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
