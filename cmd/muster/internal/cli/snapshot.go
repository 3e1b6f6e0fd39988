package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/cmd/muster/internal/server"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/apiserver/backup"
)

func newSnapshot() *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshot",
		Short: "Back up the cluster's state, and make a cluster of a backup",
		Long: `Back up the cluster's state, and make a cluster of a backup. A snapshot is one
file with all objects of the cluster, Secrets too, and with checksums of every
part; keep it where only you can read it. The images of the cluster's registry
and the data of volumes are not in it, nor is the CA.`,
		Example: `  muster snapshot save /backup/monday.snap
  muster snapshot inspect /backup/monday.snap
  muster snapshot restore /backup/monday.snap --data-dir /var/lib/muster/server`,
	}
	c.AddCommand(newSnapshotSave(), newSnapshotInspect(), newSnapshotRestore())
	return c
}

func newSnapshotSave() *cobra.Command {
	var flags accessFlags
	var from string
	c := &cobra.Command{
		Use:   "save FILE",
		Short: "Save the state of a running cluster",
		Long: `Save the state of a running cluster as it is now: every write that was
acknowledged before is in it. Writes go on meanwhile. A file of that name is
replaced once all of the new one was read back and is safe on disk.`,
		Args: exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			access, err := kubeconfig.Load(flags.kubeconfig)
			if err != nil {
				return err
			}
			if from != "" {
				access.GRPC = []string{from}
			}
			summary, err := saveSnapshot(c.Context(), access, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "saved revision %d: %d objects, %s, sha256 %s\n",
				summary.Revision, summary.Objects(), inBytes(summary.Size), summary.SHA256)
			return err
		},
	}
	flags.add(c)
	c.Flags().StringVar(&from, "server", "", "gRPC address `HOST:PORT` of the server to ask (default any of the kubeconfig's)")
	return c
}

func saveSnapshot(ctx context.Context, access kubeconfig.Access, path string) (*backup.Summary, error) {
	client, err := sdk.Dial(sdk.Config{Servers: access.GRPC, TLS: access.KeyPair.PeerTLS(pki.IsServer, "h2"), UserAgent: "muster"})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Only the first answer has to come soon; how long the rest takes depends on
	// how much there is.
	patience := time.AfterFunc(answerTimeout, func() { cancel(errSilent) })
	defer patience.Stop()
	stream, err := clusterv1.NewClusterServiceClient(client.Conn()).SaveSnapshot(ctx, &clusterv1.SaveSnapshotRequest{})
	if err != nil {
		return nil, worded("save snapshot", err)
	}
	return backup.Save(path, func() ([]byte, error) {
		part, err := stream.Recv()
		switch {
		case err == nil:
			patience.Stop()
		case errors.Is(context.Cause(ctx), errSilent):
			err = errSilent
		case !errors.Is(err, io.EOF):
			err = worded("receive it", err)
		}
		return part.GetContent(), err
	})
}

var errSilent = fmt.Errorf("no server answered within %v: check that the cluster runs (`muster members`) and that this machine reaches it", answerTimeout)

func newSnapshotInspect() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE",
		Short: "Verify a snapshot, and tell what it holds",
		Args:  exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			summary, err := backup.Inspect(args[0])
			if err != nil {
				return err
			}
			return tellSnapshot(c.OutOrStdout(), summary)
		},
	}
}

// tellSnapshot prints what a snapshot holds; internal tables come last.
func tellSnapshot(out io.Writer, s *backup.Summary) error {
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, line := range [][2]string{
		{"Cluster", or(s.Cluster, "not told: it is out of a server's data directory")},
		{"Server", or(s.Server, "not told")},
		{"Taken", s.Time.Local().Format(time.RFC1123)},
		{"Revision", fmt.Sprint(s.Revision)},
		{"Log entry", fmt.Sprint(s.Index)},
		{"Objects", fmt.Sprint(s.Objects())},
		{"Size", inBytes(s.Size)},
		{"SHA-256", s.SHA256},
	} {
		_, _ = fmt.Fprintf(w, "%s:\t%s\n", line[0], line[1])
	}
	_, _ = fmt.Fprintln(w, "\nRESOURCE\tOBJECTS\tSIZE")
	for _, internal := range []bool{false, true} {
		for _, r := range s.Resources {
			if strings.HasPrefix(r.Name, "_") == internal {
				_, _ = fmt.Fprintf(w, "%s\t%d\t%s\n", r.Name, r.Objects, inBytes(r.Bytes))
			}
		}
	}
	return w.Flush()
}

func newSnapshotRestore() *cobra.Command {
	var identity server.Identity
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a new cluster's first server of a snapshot",
		Long: `Make the data directory of a new cluster's first server, which begins with the
state of a snapshot. It must not exist or be empty.

The cluster is a new one, with an ID, a CA and keys of its own, so that servers
of the old cluster that still run, or start again, are refused and cannot
overwrite what was restored. It follows that
  * kubectl needs the kubeconfig that is written below the data directory;
    tokens of ` + "`muster token user`" + ` that the snapshot holds are valid on;
  * further servers join with a new token and an empty data directory;
  * so do nodes, under their old names if their pods are to stay: stop the agent,
    move its data directory away, and start it with --join TOKEN. A node that does
    not come is taken for lost, and its pods are evicted;
  * images of the cluster's registry are loaded again (` + "`muster image load`" + `).

Objects keep their resourceVersion. New ones are so far ahead that no client can
have seen them: whoever watches from before is told to list again (410 Gone).`,
		Example: `  muster snapshot restore monday.snap --data-dir /var/lib/muster/server --advertise-address 10.0.0.1
  muster server --data-dir /var/lib/muster/server --advertise-address 10.0.0.1`,
		Args: exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			restored, err := identity.Restore(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), `restored revision %d: %d objects; new revisions begin at %d

Try next:
  muster server --name %s --data-dir %s --advertise-address %s
  export KUBECONFIG=%s
  muster token create        for each further server and each node
`, restored.Saved.Revision, restored.Saved.Objects(), restored.Revision, identity.Name, identity.DataDir, identity.AdvertiseAddress, identity.Kubeconfig())
			return err
		},
	}
	addIdentityFlags(c, &identity)
	return c
}

// inBytes words a size.
func inBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for ; value >= unit && prefix < 3; prefix++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGT"[prefix])
}
