package chaos

import (
	"context"
	"time"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// askTime bounds a question about the members.
const askTime = time.Second

// leader is who leads by what some member says; "" when it cannot tell.
func (r *run) leader(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	response, err := clusterv1.NewClusterServiceClient(r.admin.Conn()).ListMembers(ctx, &clusterv1.ListMembersRequest{})
	if err != nil {
		return ""
	}
	for _, m := range response.GetMembers() {
		if m.GetLeader() {
			return m.GetId()
		}
	}
	return ""
}

// handOver asks for another leader.
func (r *run) handOver(ctx context.Context, to string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	_, err := clusterv1.NewClusterServiceClient(r.admin.Conn()).TransferLeadership(ctx, &clusterv1.TransferLeadershipRequest{Id: to})
	return err
}
