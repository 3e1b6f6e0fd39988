package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/cmd/muster/internal/provision"
)

const pollInterval = 20 * time.Millisecond

// api asks the cluster as its administrator.
type api struct {
	client *http.Client
	base   string
}

// newAPI calls a server, or through the balancer when address is empty.
func (c *Cluster) newAPI(address string) (*api, error) {
	access, err := kubeconfig.Load(c.kubeconfig())
	if err != nil {
		return nil, err
	}
	if address == "" {
		address = c.balancerAddress()
	}
	transport := &http.Transport{TLSClientConfig: access.KeyPair.ClientTLS(""), ForceAttemptHTTP2: true}
	return &api{client: &http.Client{Transport: transport, Timeout: 2 * time.Second}, base: "https://" + address}, nil
}

func (a *api) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, strings.TrimSpace(string(body)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// waitReady waits until every server serves and every node is Ready.
func (c *Cluster) waitReady(ctx context.Context, p *progress) error {
	for _, m := range c.ofRole(Server) {
		a, err := c.newAPI(provision.Address(m.IP.String(), provision.RESTPort))
		if err != nil {
			return err
		}
		err = c.poll(ctx, m.Name, func() error { return a.get(ctx, "/readyz", nil) })
		a.client.CloseIdleConnections()
		if err != nil {
			return err
		}
	}
	p.say("%s", areReady(len(c.ofRole(Server)), "server"))
	a, err := c.newAPI("")
	if err != nil {
		return err
	}
	defer a.client.CloseIdleConnections()
	if err := c.poll(ctx, "the nodes", func() error { return a.nodesReady(ctx, c.ofRole(Node)) }); err != nil {
		return err
	}
	if nodes := len(c.ofRole(Node)); nodes > 0 {
		p.say("%s", areReady(nodes, "node"))
	}
	return nil
}

func areReady(n int, what string) string {
	if n == 1 {
		return count(n, what) + " is ready"
	}
	return count(n, what) + " are ready"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (a *api) nodesReady(ctx context.Context, want []*Member) error {
	ready, err := a.readyNodes(ctx)
	if err != nil {
		return err
	}
	for _, m := range want {
		if message, ok := ready[m.Name]; !ok {
			return fmt.Errorf("node %s has not registered", m.Name)
		} else if message != "" {
			return fmt.Errorf("node %s is not ready: %s", m.Name, message)
		}
	}
	return nil
}

// readyNodes maps each node to what keeps it from being ready; "" when it is.
func (a *api) readyNodes(ctx context.Context) (map[string]string, error) {
	var nodes corev1.NodeList
	if err := a.get(ctx, "/api/v1/nodes", &nodes); err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for _, node := range nodes.Items {
		out[node.Name] = "no Ready condition yet"
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				out[node.Name] = ""
				if condition.Status != corev1.ConditionTrue {
					out[node.Name] = condition.Reason + ": " + condition.Message
				}
			}
		}
	}
	return out, nil
}

// poll repeats a question until it is answered well, a process of the cluster
// has died, or ctx ends.
func (c *Cluster) poll(ctx context.Context, what string, ask func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if dead := c.firstDead(); dead != nil {
			return dead
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, errors.Join(err, ctx.Err()))
		case <-ticker.C:
		}
	}
}

// firstDead reports a process that ended, with the end of its log.
func (c *Cluster) firstDead() error {
	if c.Balancer.state() == "dead" {
		return errors.New("the balancer ended:\n" + tail(filepath.Join(c.dir, "logs", "balancer.log")))
	}
	for _, m := range c.Members {
		for _, process := range m.Processes {
			if process.state() == "dead" {
				return fmt.Errorf("%s of %s ended:\n%s", process.Name, m.Name, tail(filepath.Join(c.dir, "logs", m.Name+"-"+process.Name+".log")))
			}
		}
	}
	return nil
}

// tail is the last lines of a log.
func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}
