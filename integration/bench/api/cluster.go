package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/musterhq/muster/integration/bench/process"
	"github.com/musterhq/muster/integration/harness"
)

// restPort is where servers serve the Kubernetes API.
const restPort = "6443"

// server is a process of `muster server`: all roles of the control plane.
type server struct {
	address netip.Addr
	pid     int
}

// cluster is one of servers and no nodes. Clients call the servers themselves, not
// the balancer that `muster dev` puts before them.
type cluster struct {
	dev     *harness.Cluster
	servers []server
	admin   *rest.Config
}

func start(ctx context.Context, dir string, servers, nodes int) (*cluster, error) {
	dev, err := harness.Up(ctx, fmt.Sprintf("benchapi%d", os.Getpid()), filepath.Join(dir, "cluster"), servers, nodes)
	c := &cluster{dev: dev}
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	if err := c.look(); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) stop() error { return c.dev.Down(context.Background()) }

// look reads what `muster dev` remembers of the members.
func (c *cluster) look() error {
	content, err := os.ReadFile(filepath.Join(c.dev.Dir, "cluster.json"))
	if err != nil {
		return err
	}
	var recorded struct {
		Members []struct {
			Role      string     `json:"role"`
			IP        netip.Addr `json:"ip"`
			Processes []struct {
				PID int `json:"pid"`
			} `json:"processes"`
		} `json:"members"`
	}
	if err := json.Unmarshal(content, &recorded); err != nil {
		return fmt.Errorf("read cluster.json: %w", err)
	}
	for _, m := range recorded.Members {
		if m.Role != "server" {
			continue
		}
		if len(m.Processes) != 1 {
			return fmt.Errorf("member %s has %d processes, not one", m.IP, len(m.Processes))
		}
		c.servers = append(c.servers, server{m.IP, m.Processes[0].PID})
	}
	c.admin, err = clientcmd.BuildConfigFromFlags("", c.dev.Kubeconfig())
	return err
}

// used is the processor time of all servers.
func (c *cluster) used() (sum time.Duration) {
	for _, s := range c.servers {
		sum += process.Used(s.pid)
	}
	return sum
}

// config is an administrator's of one server, without limits of its own, in one
// of the encodings.
func (c *cluster) config(i int, contentType string) *rest.Config {
	config := rest.CopyConfig(c.admin)
	config.Host = "https://" + net.JoinHostPort(c.servers[i%len(c.servers)].address.String(), restPort)
	config.QPS, config.Burst = -1, -1
	config.ContentType, config.AcceptContentTypes = contentType, contentType
	return config
}

// clients are one for each server, so that the load is the same on all.
func (c *cluster) clients(contentType string) ([]kubernetes.Interface, error) {
	var all []kubernetes.Interface
	for i := range c.servers {
		client, err := kubernetes.NewForConfig(c.config(i, contentType))
		if err != nil {
			return nil, err
		}
		all = append(all, client)
	}
	return all, nil
}

// The encodings that clients may choose.
const (
	asProtobuf = runtime.ContentTypeProtobuf
	asJSON     = runtime.ContentTypeJSON
)

// encoding names one in the name of a case.
var encoding = map[string]string{asProtobuf: "protobuf", asJSON: "json"}
