package chaos

import (
	"context"
	"fmt"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// Belongs says whether a server that joined is a voter and announced where it
// serves; the error says what is missing.
func Belongs(ctx context.Context, c Cluster, member string) error {
	client, err := c.Dial()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	response, err := clusterv1.NewClusterServiceClient(client.Conn()).ListMembers(ctx, &clusterv1.ListMembersRequest{})
	if err != nil {
		return err
	}
	for _, m := range response.GetMembers() {
		if m.GetId() == member && m.GetVoter() && m.GetApiAddress() != "" {
			return nil
		}
	}
	return fmt.Errorf("%s is no voter yet: %v", member, response.GetMembers())
}
