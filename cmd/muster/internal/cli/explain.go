package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/cmd/muster/internal/role"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	schedulerv1 "github.com/musterhq/muster/proto/muster/scheduler/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/scheduler"
)

// explainTimeout bounds one scheduler's answer.
const explainTimeout = 3 * time.Second

func newExplain() *cobra.Command {
	c := &cobra.Command{Use: "explain", Short: "Say why the cluster does what it does"}
	c.AddCommand(newExplainPod())
	return c
}

func newExplainPod() *cobra.Command {
	var flags accessFlags
	var namespace string
	c := &cobra.Command{
		Use:     "pod NAME",
		Short:   "Say for each node why a pod may or may not run there",
		Example: `  muster explain pod whoami-5d9c7b-x2x4z -n default`,
		Args:    exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			response, err := explain(c.Context(), flags, &schedulerv1.ExplainRequest{Namespace: namespace, Name: args[0]})
			if err != nil {
				return err
			}
			return printExplanation(c.OutOrStdout(), response)
		},
	}
	flags.add(c)
	c.Flags().StringVarP(&namespace, "namespace", "n", "default", "namespace of the pod")
	return c
}

// explain asks the schedulers: the one that binds knows best, but any of them
// answers.
func explain(ctx context.Context, flags accessFlags, request *schedulerv1.ExplainRequest) (*schedulerv1.ExplainResponse, error) {
	access, client, err := flags.connect()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var best *schedulerv1.ExplainResponse
	var last error
	for _, s := range schedulers(ctx, access, client) {
		response, err := s.explain(ctx, access, request)
		switch {
		case err == nil && response.GetLeading():
			return response, nil
		case err == nil:
			best = response
		case status.Code(err) == codes.NotFound && last == nil, status.Code(err) != codes.Unavailable:
			last = worded("explain", err)
		case last == nil:
			last = fmt.Errorf("explain: scheduler at %s: %s", s.address, status.Convert(err).Message())
		}
	}
	if best != nil {
		return best, nil
	}
	return nil, last
}

// schedulerAt is where a scheduler may answer, and who must answer there.
type schedulerAt struct {
	address string
	check   func(pki.Identity) error
}

// schedulers are one that runs apart and leads, as its Lease says, and those of
// the servers.
func schedulers(ctx context.Context, access kubeconfig.Access, client *sdk.Client) []schedulerAt {
	var out []schedulerAt
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	// Without the Lease there are the servers still to be asked.
	lease, err := sdk.Get[*coordinationv1.Lease](ctx, client, metav1.NamespaceSystem, scheduler.LeaseName)
	if err == nil && lease.Spec.HolderIdentity != nil {
		if address := role.HolderAddress(*lease.Spec.HolderIdentity); address != "" {
			out = append(out, schedulerAt{address: address, check: pki.IsUser(pki.UserScheduler)})
		}
	}
	for _, address := range access.GRPC {
		if host, _, err := net.SplitHostPort(address); err == nil {
			out = append(out, schedulerAt{address: provision.Address(host, provision.SchedulerPort), check: pki.IsServer})
		}
	}
	return out
}

func (s schedulerAt) explain(ctx context.Context, access kubeconfig.Access, request *schedulerv1.ExplainRequest) (*schedulerv1.ExplainResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	conn, err := join.Connect(s.address, access.KeyPair.PeerTLS(s.check, "h2"), nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return schedulerv1.NewSchedulerServiceClient(conn).Explain(ctx, request)
}

func printExplanation(out io.Writer, r *schedulerv1.ExplainResponse) error {
	if r.GetNodeName() != "" {
		_, _ = fmt.Fprintf(out, "The pod runs on %s.\n", r.GetNodeName())
	}
	if r.GetMessage() != "" {
		_, _ = fmt.Fprintln(out, r.GetMessage())
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "NODE\tFITS\tSCORE\tWHY")
	for _, n := range r.GetNodes() {
		fits, score, why := "no", "-", strings.Join(n.GetReasons(), "; ")
		if n.GetFeasible() {
			fits, score = "yes", fmt.Sprint(n.GetScore())
			why = scores(n.GetScores())
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.GetNode(), fits, score, why)
	}
	return w.Flush()
}

func scores(by map[string]int64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, by[name]))
	}
	return strings.Join(parts, ", ")
}
