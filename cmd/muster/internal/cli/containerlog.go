package cli

import (
	"github.com/spf13/cobra"

	"github.com/musterhq/muster/agent/logs/writer"
)

// newContainerLog is started by containerd's shim for each container, with the
// log's path.
func newContainerLog() *cobra.Command {
	return &cobra.Command{
		Use:    "container-log PATH",
		Short:  "Write a container's output to its log",
		Hidden: true,
		Args:   exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := writer.Parse(args[0])
			if err != nil {
				return err
			}
			return writer.Main(cfg)
		},
	}
}
