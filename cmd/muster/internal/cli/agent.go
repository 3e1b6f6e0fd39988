package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/agent/network"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/cmd/muster/internal/node"
	"github.com/musterhq/muster/internal/vitals"
)

func newAgent() *cobra.Command {
	var config node.Config
	var logs logFlags
	var token joinFlags
	c := &cobra.Command{
		Use:   "agent",
		Short: "Run a node: its pods, their network, services and names",
		Long: `Run a node: its pods in containerd, their network, the services' addresses and
names. The token is needed once; the node's identity is kept in the data
directory. Pods run on while the agent is stopped.`,
		Example: `  muster agent --join TOKEN`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if config.Logger, err = logs.logger(c); err != nil {
				return err
			}
			if config.Join, err = token.read(c, config.Logger, config.DataDir); err != nil {
				return err
			}
			// Before the token: a machine that joined would only learn of it then.
			if err := errors.Join(oneOf("proxy-mode", config.ProxyMode, proxy.ModeAuto, proxy.ModeIPVS, proxy.ModeNFTables),
				oneOf("overlay", config.Overlay, network.OverlayVXLAN, network.OverlayRoutes)); err != nil {
				return err
			}
			return vitals.During(c.Context(), config.Logger, func(ctx context.Context) error { return node.Run(ctx, config) })
		},
	}
	f := c.Flags()
	token.add(c)
	f.StringVar(&config.Name, "name", "", "name of the node (default the host's)")
	f.StringVar(&config.NodeIP, "node-ip", "", "IP address of the node (default that of the default route)")
	f.StringVar(&config.DataDir, "data-dir", "/var/lib/muster/agent", "where the node keeps everything")
	f.StringVar(&config.Containerd, "containerd", "/run/containerd/containerd.sock", "containerd's socket")
	f.StringVar(&config.ProxyMode, "proxy-mode", "auto", "auto, ipvs or nftables")
	f.StringVar(&config.Overlay, "overlay", "vxlan", "how pods reach other nodes: vxlan, or routes on one network segment")
	f.StringVar(&config.CgroupParent, "cgroup-parent", "/muster", "cgroup of the pods")
	f.StringSliceVar(&config.Mirrors, "mirror", nil, "registry (https://host:port) to ask for every image before its own")
	f.StringToStringVar(&config.Labels, "node-labels", nil, "labels of the node (key=value)")
	logs.add(c)
	return c
}
