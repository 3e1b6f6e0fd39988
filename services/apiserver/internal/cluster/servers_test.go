package cluster_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

func TestRemoveServer(t *testing.T) {
	f := start(t)
	admin := f.as(t, f.pair(t, pki.AdminIdentity()))
	remove := func(client clusterv1.ClusterServiceClient, id string) error {
		_, err := client.RemoveServer(t.Context(), &clusterv1.RemoveServerRequest{Id: id})
		return err
	}
	if err := remove(admin, "s1"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("the last member: %v", err)
	}
	second := f.as(t, f.pair(t, pki.ServerIdentity("s2")))
	if _, err := second.AddServer(t.Context(), &clusterv1.AddServerRequest{Id: "s2", RaftAddress: "127.0.0.2:6444"}); err != nil {
		t.Fatal(err)
	}
	if err := remove(admin, "s9"); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "the members are s1, s2") {
		t.Errorf("a stranger: %v", err)
	}
	if err := remove(second, "s1"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("by a server: %v", err)
	}
	if err := remove(admin, "s2"); err != nil {
		t.Fatal(err)
	}
	members, err := admin.ListMembers(t.Context(), &clusterv1.ListMembersRequest{})
	if err != nil || len(members.GetMembers()) != 1 {
		t.Errorf("members %v, %v", members, err)
	}
	if _, err := join.Join(t.Context(), join.Request{Token: f.token(t, server), Role: server, Name: "s2"}); err != nil {
		t.Errorf("its name is not free: %v", err)
	}
}

// The addresses of a server are forgotten with it, and not when it stays.
func TestRemoveServerForgetsItsAddresses(t *testing.T) {
	f := start(t)
	admin := f.as(t, f.pair(t, pki.AdminIdentity()))
	for _, id := range []string{"goes", "stays"} {
		if err := f.replica.AddVoter(t.Context(), id, "127.0.0.2:6444"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.replica.Apply(t.Context(), &storev1.Transaction{Operations: []*storev1.Operation{{
			Key: &storev1.Key{Resource: "_servers", Name: id}, Action: storev1.Action_ACTION_PUT, Value: []byte(`{"api":"127.0.0.2:6442"}`),
		}}}); err != nil {
			t.Fatal(err)
		}
		_, err := admin.RemoveServer(t.Context(), &clusterv1.RemoveServerRequest{Id: id})
		if removed := err == nil; removed != (id == "goes") {
			t.Errorf("remove %s: %v", id, err)
		}
	}
	if _, known := f.replica.store.View().Get(state.Key{Resource: "_servers", Name: "goes"}); known {
		t.Error("the addresses of a removed server are kept")
	}
	if got := string(f.entry(t, "_servers", "stays")); got != `{"api":"127.0.0.2:6442"}` {
		t.Errorf("the addresses of a server that stays are %q", got)
	}
}

// TestKeepFreshRenewsAtTheServer renews over the wire a certificate that has
// little left.
func TestKeepFreshRenewsAtTheServer(t *testing.T) {
	f := start(t)
	certPEM, keyPEM, err := f.ca.Issue(pki.NodeIdentity("n1"), nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(certPEM, keyPEM, f.ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	ended := make(chan error, 1)
	go func() {
		ended <- join.KeepFresh(ctx, slog.New(slog.DiscardHandler), pair,
			join.Servers{Addresses: func() []string { return []string{freeAddress(t), f.address} }, KeyPair: pair})
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for time.Until(pair.Leaf().NotAfter) < pki.CertificateLife/2 && ctx.Err() == nil {
		<-tick.C
	}
	if ctx.Err() != nil {
		t.Errorf("the certificate still ends at %v", pair.Leaf().NotAfter)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if id := pair.Identity(); id.NodeName() != "n1" || len(pair.Leaf().IPAddresses)+len(pair.Leaf().DNSNames) > 0 {
		t.Errorf("renewed for %+v", id)
	}
	// What is called with it from now on is called as the same node.
	if _, err := f.as(t, pair).ListMembers(t.Context(), &clusterv1.ListMembersRequest{}); err != nil {
		t.Error(err)
	}
}
