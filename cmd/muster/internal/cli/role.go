package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/role"
	"github.com/musterhq/muster/internal/vitals"
)

// besides ends the help of both roles.
const besides = `

Several may run beside each other: one leads, by a Lease that
  kubectl get leases -n kube-system
shows, and another takes over a few seconds after the leader is gone. It needs a
token once, of its own role, and gets a certificate of that role by it and none
of the cluster's keys; the identity is kept in the data directory, and renewed
without a restart.`

func newScheduler() *cobra.Command {
	return newRole(role.Scheduler(), &cobra.Command{
		Use:   "scheduler",
		Short: "Run a scheduler apart from the servers",
		Long: `Run a scheduler apart from the servers, which have their own unless they were
started as ` + "`muster apiserver`" + `. It assigns pods to nodes.` + besides,
		Example: `  muster token create --role scheduler     where there is a kubeconfig
  muster scheduler --join TOKEN            on the machine that shall run it`,
	})
}

func newControllerManager() *cobra.Command {
	return newRole(role.ControllerManager(), &cobra.Command{
		Use:   "controller-manager",
		Short: "Run a controller manager apart from the servers",
		Long: `Run a controller manager apart from the servers, which have their own unless
they were started as ` + "`muster apiserver`" + `. It keeps deployments, replicasets,
endpoints, namespaces and nodes as they shall be, and watches which nodes answer.` + besides,
		Example: `  muster token create --role controller-manager   where there is a kubeconfig
  muster controller-manager --join TOKEN          on the machine that shall run it`,
	})
}

func newRole(r role.Role, c *cobra.Command) *cobra.Command {
	var config role.Config
	var logs logFlags
	var token joinFlags
	c.Args = noArgs
	c.RunE = func(c *cobra.Command, _ []string) error {
		var err error
		if config.Logger, err = logs.logger(c); err != nil {
			return err
		}
		if config.Join, err = token.read(c, config.Logger, config.DataDir); err != nil {
			return err
		}
		return vitals.During(c.Context(), config.Logger, func(ctx context.Context) error { return r.RunApart(ctx, config) })
	}
	token.add(c)
	c.Flags().StringVar(&config.Name, "name", "", "name of the instance (default the host's)")
	c.Flags().StringVar(&config.AdvertiseAddress, "advertise-address", "", "IP address that administrators reach it at (default that of the default route)")
	c.Flags().StringVar(&config.DataDir, "data-dir", "/var/lib/muster/"+r.Name, "where it keeps its identity")
	logs.add(c)
	return c
}
