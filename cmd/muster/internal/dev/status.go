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
	verdicts, nodesErr := c.nodeVerdicts(ctx)
	for _, m := range c.ofRole(Server) {
		verdicts[m.Name] = verdict{ready: c.serverState(ctx, m)}
	}
	if err := c.printMembers(out, verdicts); err != nil {
		return err
	}
	if nodesErr != nil {
		_, _ = fmt.Fprintf(out, "\nThe cluster does not say how its nodes do: %v\n", nodesErr)
	}
	_, err = fmt.Fprintf(out, "\nKUBECONFIG=%s\n", c.kubeconfig())
	return err
}

// verdict is the cluster's word about a member: yes or no, "" when it says
// nothing, and why.
type verdict struct{ ready, why string }

// printMembers prints a line for each process, and once for each member why it
// is not ready: that may be long.
func (c *Cluster) printMembers(out io.Writer, verdicts map[string]verdict) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "MEMBER\tADDRESS\tPROCESS\tPID\tSTATE\tCABLE\tREADY")
	for _, m := range c.Members {
		cable := "in"
		if c.isCut(m) {
			cable = "cut"
		}
		for _, p := range m.Processes {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.Name, m.IP, p.Name, p.Pid, p.state(), cable, verdicts[m.Name].ready)
		}
	}
	_, _ = fmt.Fprintf(w, "balancer\t%s\tbalancer\t%d\t%s\t\t\n", c.balancerAddress(), c.Balancer.Pid, c.Balancer.state())
	if err := w.Flush(); err != nil {
		return err
	}
	for _, m := range c.Members {
		if why := verdicts[m.Name].why; why != "" {
			_, _ = fmt.Fprintf(out, "\n%s is not ready: %s\n", m.Name, why)
		}
	}
	return nil
}

func (c *Cluster) nodeVerdicts(ctx context.Context) (map[string]verdict, error) {
	verdicts := map[string]verdict{}
	a, err := c.newAPI("")
	if err != nil {
		return verdicts, err
	}
	defer a.client.CloseIdleConnections()
	nodes, err := a.readyNodes(ctx)
	for name, why := range nodes {
		verdicts[name] = verdict{ready: "yes"}
		if why != "" {
			verdicts[name] = verdict{ready: "no", why: why}
		}
	}
	return verdicts, err
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
