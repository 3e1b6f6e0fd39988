// Package cli is the command line: flags become a Config, and what is called
// does the work.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/internal/logging"
	"github.com/musterhq/muster/internal/version"
)

// The exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Main runs the command line and returns the exit code. A signal to end cancels
// what runs; a second one ends it at once.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "muster: %v\n", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		_, _ = fmt.Fprintf(stderr, "See `%s --help`.\n", command.CommandPath())
		return exitUsage
	}
	return exitError
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "muster",
		Short: "Run containers on a group of machines",
		Long: `Muster runs containers on a group of machines. It speaks the Kubernetes API, so
kubectl and every manifest work unchanged.

A cluster on this machine, to try it:
  muster dev up

A cluster of several machines:
  first$  muster server --advertise-address 10.0.0.1
  first$  muster token create
  other$  muster agent --join TOKEN`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version.Version,
	}
	root.SetFlagErrorFunc(unknownFlag)
	root.AddGroup(&cobra.Group{ID: "run", Title: "Run a cluster:"}, &cobra.Group{ID: "apart", Title: "Run the parts of a server apart:"},
		&cobra.Group{ID: "use", Title: "Look after it:"})
	for _, c := range []*cobra.Command{newInit(), newServer(), newAgent(), newDev()} {
		c.GroupID = "run"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{newAPIServer(), newScheduler(), newControllerManager()} {
		c.GroupID = "apart"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{newToken(), newKubeconfig(), newMembers(), newHealth(), newSnapshot(), newImage(), newExplain(), newApply()} {
		c.GroupID = "use"
		root.AddCommand(c)
	}
	root.AddCommand(newVersion(), newContainerLog(), newReap())
	refuseUnknown(root)
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), version.String())
			return err
		},
	}
}

// logFlags are those of every long-running command.
type logFlags struct{ format, level string }

func (f *logFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.format, "log-format", "text", "text or json")
	c.Flags().StringVar(&f.level, "log-level", "info", "debug, info, warn or error")
}

func (f *logFlags) logger(c *cobra.Command) (*slog.Logger, error) {
	logger, err := logging.New(c.ErrOrStderr(), f.format, f.level)
	if err != nil {
		return nil, usageError{err}
	}
	return logger, nil
}
