package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/agent/runtime/containerd/reaper"
	"github.com/musterhq/muster/cmd/muster/internal/node"
)

// newReap is the first process of a pod whose containers share their processes.
func newReap() *cobra.Command {
	return &cobra.Command{
		Use:    node.Reaper,
		Short:  "Wait for the orphans of a pod",
		Hidden: true,
		Args:   exactArgs(0),
		// A SIGTERM from a container does not end the pod: the runtime ends it by SIGKILL.
		RunE: func(cmd *cobra.Command, _ []string) error { return reaper.Run(context.WithoutCancel(cmd.Context())) },
	}
}
