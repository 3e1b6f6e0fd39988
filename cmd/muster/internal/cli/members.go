package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func newMembers() *cobra.Command {
	var flags accessFlags
	c := &cobra.Command{
		Use:   "members",
		Short: "List the servers, who leads and how they are",
		Long: `List the servers, who leads and how they are. CONTACT is how long ago the leader
and the server last heard of each other, LAG how many log entries the server has
yet to apply of those that the leader has committed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return flags.cluster(c.Context(), func(ctx context.Context, cluster clusterv1.ClusterServiceClient) error {
				response, err := listMembers(ctx, cluster, true)
				if err != nil {
					return err
				}
				return tellMembers(c.OutOrStdout(), response.GetMembers())
			})
		},
	}
	flags.add(c)
	c.AddCommand(newMembersRemove(), newMembersTransfer())
	return c
}

// cluster runs f against ClusterService, which is to answer soon.
func (f *accessFlags) cluster(ctx context.Context, do func(context.Context, clusterv1.ClusterServiceClient) error) error {
	return f.call(ctx, func(ctx context.Context, cluster clusterv1.ClusterServiceClient, _ kubeconfig.Access) error {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		return do(ctx, cluster)
	})
}

func listMembers(ctx context.Context, cluster clusterv1.ClusterServiceClient, withState bool) (*clusterv1.ListMembersResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	response, err := cluster.ListMembers(ctx, &clusterv1.ListMembersRequest{WithState: withState}, grpc.WaitForReady(true))
	if err != nil {
		return nil, worded("list members", err)
	}
	return response, nil
}

// tellMembers lists the servers, and says so when none of them leads.
func tellMembers(out io.Writer, members []*clusterv1.Member) error {
	led := false
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "NAME\tROLE\tSTATE\tCONTACT\tLAG\tVERSION\tRAFT\tGRPC\tKUBERNETES")
	for _, m := range members {
		led = led || m.GetLeader()
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.GetId(), roleOf(m), stateOf(m), contactOf(m), lagOf(m),
			orDash(m.GetVersion()), m.GetRaftAddress(), orDash(m.GetApiAddress()), orDash(m.GetRestAddress()))
	}
	if !led {
		_, _ = fmt.Fprint(w, "\nNo server leads: nothing can be read or written until more than half of those that vote run and reach each other.\n"+
			"Are most of them lost for good? See `muster server recover --help`.\n")
	}
	return w.Flush()
}

func roleOf(m *clusterv1.Member) string {
	switch {
	case m.GetLeader():
		return "leader"
	case m.GetVoter():
		return "voter"
	}
	return "non-voter"
}

func stateOf(m *clusterv1.Member) string {
	if m.GetState() == clusterv1.MemberState_MEMBER_STATE_UNSPECIFIED {
		return "-"
	}
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(m.GetState().String(), "MEMBER_STATE_")), "_", "-")
}

func contactOf(m *clusterv1.Member) string {
	if m.GetLastContact() == nil {
		return "-"
	}
	contact := m.GetLastContact().AsDuration()
	if contact < time.Second {
		return contact.Round(time.Millisecond).String()
	}
	return contact.Round(time.Second).String()
}

func lagOf(m *clusterv1.Member) string {
	if m.Lag == nil {
		return "-"
	}
	return fmt.Sprint(m.GetLag())
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func newMembersTransfer() *cobra.Command {
	var flags accessFlags
	c := &cobra.Command{
		Use:   "transfer [NAME]",
		Short: "Hand the leadership to a server, or to whichever has come farthest",
		Example: `  muster members transfer server2
  muster members transfer             before the leader's machine is worked on`,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			request := &clusterv1.TransferLeadershipRequest{}
			if len(args) > 0 {
				request.Id = args[0]
			}
			return flags.cluster(c.Context(), func(ctx context.Context, cluster clusterv1.ClusterServiceClient) error {
				response, err := cluster.TransferLeadership(ctx, request, grpc.WaitForReady(true))
				if err != nil {
					return worded("transfer leadership", err)
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "server %s leads\n", response.GetId())
				return err
			})
		},
	}
	flags.add(c)
	return c
}

func newMembersRemove() *cobra.Command {
	var flags accessFlags
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a server out for good, so that a majority is counted without it",
		Long: `Take a server out for good, so that a majority is counted without it. Stop it
first, if it still runs. A machine whose data was lost or damaged joins anew
after that, under the same name if you like.`,
		Example: `  muster members remove server2
  muster token create --role server`,
		Args: exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return flags.cluster(c.Context(), func(ctx context.Context, cluster clusterv1.ClusterServiceClient) error {
				if _, err := cluster.RemoveServer(ctx, &clusterv1.RemoveServerRequest{Id: args[0]}, grpc.WaitForReady(true)); err != nil {
					return worded("remove member", err)
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "server %s is no member any more\n", args[0])
				return err
			})
		},
	}
	flags.add(c)
	return c
}
