package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/musterhq/muster/agent"
	"github.com/musterhq/muster/cmd/muster/internal/provision"
)

// startPatience is how long a start is watched. A process that still works on
// it then, as a server that reads a long log, is left alone.
const startPatience = 10 * time.Second

// awaitStart returns when a member's processes, or the named one, answer, or with the last words
// of one that ended. It does not wait for the rest of the cluster.
func (c *Cluster) awaitStart(ctx context.Context, m *Member, process string) error {
	if c.isCut(m) {
		return nil // nobody can ask it
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		answers := c.answers(ctx, m, process)
		if err := c.lastWords(m, process); err != nil {
			return err
		}
		if answers || ctx.Err() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// answers says whether the member's own process serves.
func (c *Cluster) answers(ctx context.Context, m *Member, process string) bool {
	switch {
	case process == containerdProcess:
		return accepts(ctx, "unix", c.containerdSocket(m))
	case m.Role == Node:
		return accepts(ctx, "tcp", provision.Address(m.IP.String(), agent.DefaultPort))
	}
	a, err := c.newAPI(provision.Address(m.IP.String(), provision.RESTPort))
	if err != nil {
		return false
	}
	defer a.client.CloseIdleConnections()
	return a.get(ctx, "/livez", nil) == nil
}

func accepts(ctx context.Context, network, address string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// lastWords is the error of a process that was started and ended.
func (c *Cluster) lastWords(m *Member, only string) error {
	for _, process := range m.Processes {
		if (only == "" || only == process.Name) && process.state() == "dead" {
			log := filepath.Join(c.dir, "logs", m.Name+"-"+process.Name+".log")
			return fmt.Errorf("%s of %s ended (its log is %s):\n%w", process.Name, m.Name, log, errors.New(lastError(log)))
		}
	}
	return nil
}

// lastError is what a process of ours said when it ended, or the end of its log.
func lastError(log string) string {
	text := tail(log)
	if i := strings.LastIndex(text, "\nmuster: "); i >= 0 {
		return text[i+1:]
	}
	return text
}
