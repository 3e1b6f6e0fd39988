package dev

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
)

// Status prints what runs, and what the cluster says of it.
func Status(ctx context.Context, name, dir string, out io.Writer) error {
	c, unlock, err := Open(name, dir)
	if err != nil {
		return err
	}
	unlock()
	ready, nodesErr := c.nodeStates(ctx)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "MEMBER\tADDRESS\tPROCESS\tPID\tSTATE\tCABLE\tREADY")
	for _, m := range c.Members {
		cable := "in"
		if c.isCut(m) {
			cable = "cut"
		}
		verdict := ready[m.Name]
		if m.Role == Server {
			verdict = c.serverState(ctx, m)
		}
		for _, p := range m.Processes {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.Name, m.IP, p.Name, p.Pid, p.state(), cable, verdict)
		}
	}
	_, _ = fmt.Fprintf(w, "balancer\t%s\tbalancer\t%d\t%s\t\t\n", c.balancerAddress(), c.Balancer.Pid, c.Balancer.state())
	if err := w.Flush(); err != nil {
		return err
	}
	if nodesErr != nil {
		_, _ = fmt.Fprintf(out, "\nThe cluster does not say how its nodes do: %v\n", nodesErr)
	}
	_, err = fmt.Fprintf(out, "\nKUBECONFIG=%s\n", c.kubeconfig())
	return err
}

func (c *Cluster) nodeStates(ctx context.Context) (map[string]string, error) {
	a, err := c.newAPI("")
	if err != nil {
		return nil, err
	}
	defer a.client.CloseIdleConnections()
	states, err := a.readyNodes(ctx)
	for name, message := range states {
		if message == "" {
			states[name] = "yes"
		} else {
			states[name] = "no: " + message
		}
	}
	return states, err
}

func (c *Cluster) serverState(ctx context.Context, m *Member) string {
	a, err := c.newAPI(provision.Address(m.IP.String(), provision.RESTPort))
	if err == nil {
		err = a.get(ctx, "/readyz", nil)
		a.client.CloseIdleConnections()
	}
	if err != nil {
		return "no"
	}
	return "yes"
}
