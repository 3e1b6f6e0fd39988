package chaos

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// Belongs says whether a server that joined is a voter and announced where it
// serves; the error says what is missing. It is the server itself that is asked: it
// answers no read before it votes, while another may not have heard yet that its
// predecessor of the same name, which voted, has gone.
func Belongs(ctx context.Context, c Cluster, member string) error {
	client, err := c.Dial(member)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if _, err := sdk.Get[*corev1.Namespace](ctx, client, "", metav1.NamespaceDefault); err != nil {
		return err
	}
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
