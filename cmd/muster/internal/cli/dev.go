package cli

import (
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/dev"
)

// clusterFlags name a dev cluster.
type clusterFlags struct{ name, dir string }

func (f *clusterFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "name", "dev", "name of the cluster; several run side by side")
	c.Flags().StringVar(&f.dir, "data-dir", "", "where it keeps everything (default "+dev.DefaultRoot+"/NAME)")
}

func newDev() *cobra.Command {
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster on this machine",
		Long: `Run a whole cluster on this machine: each server and each node in a network
namespace of its own, with an address, real processes and, for nodes, a
containerd of its own. Members can be killed, paused and cut off.`,
		Example: `  muster dev up                       3 servers and 2 nodes
  muster dev up --name b --servers 1  another one beside it
  muster dev kill server1             like pulling the plug
  muster dev exec node1 -- ip route   look around inside
  muster dev down                     leaves nothing`,
	}
	c.AddCommand(newDevUp(), newDevDown(), newDevStatus(), newDevExec(), newDevEnter(), newDevBalancer())
	for _, f := range []struct {
		fault dev.Fault
		short string
	}{
		{dev.Kill, "Kill a member (node1: as by a power cut) or one process of it (node1/agent)"},
		{dev.Start, "Start a member, or one process of it, again"},
		{dev.Pause, "Stop a member's processes without ending them"},
		{dev.Resume, "Let a paused member's processes go on"},
		{dev.Cut, "Take a member's network cable out"},
		{dev.Heal, "Put a member's network cable in again"},
	} {
		c.AddCommand(newDevFault(f.fault, f.short))
	}
	return c
}

func newDevUp() *cobra.Command {
	var flags clusterFlags
	options := dev.Options{}
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster and wait until it is ready",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			options.Name, options.Dir, options.Out = flags.name, flags.dir, c.OutOrStdout()
			return dev.Up(c.Context(), options)
		},
	}
	flags.add(c)
	c.Flags().IntVar(&options.Servers, "servers", 3, "servers: 1, 3, 5, ...")
	c.Flags().IntVar(&options.Nodes, "nodes", 2, "nodes")
	c.Flags().DurationVar(&options.Timeout, "timeout", 2*time.Minute, "give up when it is not ready by then")
	return c
}

func newDevDown() *cobra.Command {
	var flags clusterFlags
	c := &cobra.Command{
		Use:   "down",
		Short: "Remove a cluster and everything of it, whatever state it is in",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return dev.Down(flags.name, flags.dir, c.OutOrStdout())
		},
	}
	flags.add(c)
	return c
}

func newDevStatus() *cobra.Command {
	var flags clusterFlags
	c := &cobra.Command{
		Use:   "status",
		Short: "Show members, processes and whether they are ready",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return dev.Status(c.Context(), flags.name, flags.dir, c.OutOrStdout())
		},
	}
	flags.add(c)
	return c
}

func newDevFault(fault dev.Fault, short string) *cobra.Command {
	var flags clusterFlags
	c := &cobra.Command{
		Use:   string(fault) + " MEMBER",
		Short: short,
		Args:  exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return dev.Do(c.Context(), flags.name, flags.dir, fault, args[0])
		},
	}
	flags.add(c)
	return c
}

func newDevExec() *cobra.Command {
	var flags clusterFlags
	c := &cobra.Command{
		Use:   "exec MEMBER -- COMMAND [ARGUMENT...]",
		Short: "Run a command in a member's network namespace",
		Args:  minArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return dev.Exec(flags.name, flags.dir, args[0], args[1:])
		},
	}
	flags.add(c)
	return c
}

func newDevEnter() *cobra.Command {
	var cgroup, netns string
	c := &cobra.Command{
		Use:    "enter -- COMMAND [ARGUMENT...]",
		Short:  "Become a command in a cgroup and a network namespace",
		Hidden: true,
		Args:   minArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return dev.Enter(cgroup, netns, args)
		},
	}
	c.Flags().StringVar(&cgroup, "cgroup", "", "directory of the cgroup")
	c.Flags().StringVar(&netns, "netns", "", "file of the network namespace")
	return c
}

func newDevBalancer() *cobra.Command {
	var listen string
	var servers []string
	var logs logFlags
	c := &cobra.Command{
		Use:    "balancer",
		Short:  "Pass TCP connections to one of several servers",
		Hidden: true,
		Args:   noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			logger, err := logs.logger(c)
			if err != nil {
				return err
			}
			lis, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("balancer: %w", err)
			}
			return dev.NewBalancer(logger, servers).Run(c.Context(), lis)
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "address to listen on")
	c.Flags().StringSliceVar(&servers, "server", nil, "address of a server")
	logs.add(c)
	return c
}
