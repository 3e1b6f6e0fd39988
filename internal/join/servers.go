package join

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

const (
	// refreshInterval is how often a member asks who the servers are.
	refreshInterval = 30 * time.Second
	gossipPort      = "7946"
)

// Lister is the part of ClusterService that knows the servers.
type Lister interface {
	ListMembers(ctx context.Context, request *clusterv1.ListMembersRequest, options ...grpc.CallOption) (*clusterv1.ListMembersResponse, error)
}

// KeepServers keeps the servers' addresses in a member's directory those of
// today, so that it finds its cluster after a restart though the servers that
// let it in are gone. It calls changed after each change, until ctx ends.
func KeepServers(ctx context.Context, logger *slog.Logger, dataDir string, m Membership, lister Lister, changed func(Membership)) error {
	for {
		if next, ok := m.refreshed(ctx, lister); ok {
			if err := next.Save(dataDir); err != nil {
				return err
			}
			m = next
			logger.Info("the cluster has other servers now", "servers", m.APIAddresses)
			changed(m)
		}
		if !pause(ctx, refreshInterval) {
			return nil
		}
	}
}

// refreshed returns the membership with the servers of today, if they differ.
func (m Membership) refreshed(ctx context.Context, lister Lister) (Membership, bool) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	response, err := lister.ListMembers(ctx, &clusterv1.ListMembersRequest{})
	if err != nil || response.GetClusterId() != m.ClusterID {
		return m, false
	}
	var api, gossip []string
	for _, member := range response.GetMembers() {
		host, _, err := net.SplitHostPort(member.GetApiAddress())
		if err != nil {
			continue // one that has not announced its address yet
		}
		api, gossip = append(api, member.GetApiAddress()), append(gossip, net.JoinHostPort(host, gossipPort))
	}
	slices.SortFunc(api, strings.Compare)
	slices.SortFunc(gossip, strings.Compare)
	known := slices.Sorted(slices.Values(m.APIAddresses))
	if len(api) == 0 || slices.Equal(api, known) {
		return m, false
	}
	m.APIAddresses, m.GossipAddresses = api, gossip
	return m, true
}
