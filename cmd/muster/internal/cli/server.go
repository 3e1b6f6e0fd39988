package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/role"
	"github.com/musterhq/muster/cmd/muster/internal/server"
	"github.com/musterhq/muster/internal/heap"
	"github.com/musterhq/muster/internal/vitals"
	"github.com/musterhq/muster/services/apiserver"
)

func newServer() *cobra.Command {
	c := &cobra.Command{
		Use:   "server",
		Short: "Run a server: API, scheduler and controller manager",
		Long: `Run a server: the API (Kubernetes' on port 6443, gRPC on 6442), a replica of the
state, a scheduler and a controller manager. The first server forms a cluster;
others join it with a token and form a majority with it. A server that joins
votes once it has caught up, unless --non-voter is given: it serves then, and
the others decide without it.

A voter that has been silent for the time of --remove-dead-after is removed when
one that joined takes its place, that is, while the number of voters is even.`,
		Example: `  muster server --advertise-address 10.0.0.1                 the first
  muster server --advertise-address 10.0.0.2 --join TOKEN    a further one
  muster server --advertise-address 10.0.0.4 --join TOKEN --non-voter
                                                             one more to read from`,
	}
	runServer(c, role.All())
	c.AddCommand(newServerRecover())
	return c
}

func newAPIServer() *cobra.Command {
	c := &cobra.Command{
		Use:   "apiserver",
		Short: "Run a server without a scheduler and a controller manager",
		Long: `Run a server as ` + "`muster server`" + ` does, with all of its flags, but without the
scheduler and the controller manager: the API (Kubernetes' on port 6443, gRPC on
6442) and a replica of the state. Nothing is scheduled and no controller acts
until a scheduler and a controller manager run somewhere: apart, or in another
server. The data directory is the same; a server can run either way.`,
		Example: `  muster apiserver --advertise-address 10.0.0.1
  muster token create --role scheduler            prints a token for
  muster scheduler --join TOKEN                   this one
  muster token create --role controller-manager   and one for
  muster controller-manager --join TOKEN          this one`,
	}
	runServer(c, nil)
	return c
}

// RunsServer tells whether a command line runs a server until it is told to end.
func RunsServer(args []string) bool {
	c, _, err := newRoot().Find(args)
	return err == nil && c.Annotations[runsServer] != ""
}

// runsServer is the annotation of the commands that do.
const runsServer = "runs-server"

// runServer makes a command run a server with the roles given.
func runServer(c *cobra.Command, roles []role.Role) {
	config := server.Config{Roles: roles}
	var logs logFlags
	var token joinFlags
	c.Args = noArgs
	c.Annotations = map[string]string{runsServer: "yes"}
	c.RunE = func(c *cobra.Command, _ []string) error {
		var err error
		if config.Logger, err = logs.logger(c); err != nil {
			return err
		}
		if config.Join, err = token.read(c, config.Logger, config.DataDir); err != nil {
			return err
		}
		return vitals.During(c.Context(), config.Logger, func(ctx context.Context) error {
			return heap.During(ctx, func(ctx context.Context) error { return server.Run(ctx, config) })
		})
	}
	addIdentityFlags(c, &config.Identity)
	token.add(c)
	c.Flags().BoolVar(&config.NonVoter, "non-voter", false, "with --join: serve, but never vote; it stays so")
	c.Flags().DurationVar(&config.RemoveDeadAfter, "remove-dead-after", 10*time.Minute, "remove a voter that was silent for so long when another has taken its place; 0 never does")
	addAuditFlags(c, &config.Audit)
	logs.add(c)
}

// addAuditFlags adds the flags of the audit log, which are named as Kubernetes' are.
func addAuditFlags(c *cobra.Command, config *apiserver.AuditConfig) {
	f := c.Flags()
	f.StringVar(&config.PolicyFile, "audit-policy-file", "", "what to write down of what the API is asked for: a Policy of audit.k8s.io/v1")
	f.StringVar(&config.Path, "audit-log-path", "", "file to write it to, a line of JSON for each event; - is the standard output")
	f.IntVar(&config.MaxAge, "audit-log-maxage", 0, "days for which old files of it are kept; 0 is no limit")
	f.IntVar(&config.MaxBackups, "audit-log-maxbackup", 0, "how many old files of it are kept; 0 is no limit")
	f.IntVar(&config.MaxSize, "audit-log-maxsize", 100, "MiB after which a new file of it is begun")
}
