package join_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/musterhq/muster/internal/join"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// servers answers as a cluster that grows and is away for a while.
type servers struct{ calls int }

func (s *servers) ListMembers(context.Context, *clusterv1.ListMembersRequest, ...grpc.CallOption) (*clusterv1.ListMembersResponse, error) {
	s.calls++
	out := &clusterv1.ListMembersResponse{ClusterId: "c", Members: []*clusterv1.Member{{ApiAddress: "10.0.0.1:6442"}}}
	switch {
	case s.calls == 2:
		return nil, errors.New("no server answers")
	case s.calls == 3:
		out.ClusterId = "another"
		out.Members[0].ApiAddress = "10.9.9.9:6442"
	case s.calls > 3:
		out.Members = append(out.Members, &clusterv1.Member{ApiAddress: "10.0.0.2:6442"}, &clusterv1.Member{Id: "silent"})
	}
	return out, nil
}

func TestKeepServers(t *testing.T) {
	dir := t.TempDir()
	m := join.Membership{Name: "n1", ClusterID: "c", GossipKey: make([]byte, 32), APIAddresses: []string{"10.0.0.1:6442"}}
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	want := []string{"10.0.0.1:6442", "10.0.0.2:6442"}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var told [][]string
		err := join.KeepServers(ctx, slog.New(slog.DiscardHandler), dir, m, &servers{}, func(m join.Membership) { told = append(told, m.APIAddresses) })
		if err != nil {
			t.Fatal(err)
		}
		if len(told) != 1 || !slices.Equal(told[0], want) {
			t.Errorf("told %v", told)
		}
	})
	got, err := join.LoadMembership(dir)
	if err != nil || !slices.Equal(got.APIAddresses, want) || got.GossipAddresses[1] != "10.0.0.2:7946" {
		t.Errorf("kept %+v, %v", got, err)
	}
}
