// Package provision makes the identities of a cluster: its authority, and the
// directories that servers and nodes find theirs in.
package provision

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
)

// The names of the key pairs below a member's pki directory.
const (
	ServerPair            = "server"
	SchedulerPair         = "scheduler"
	ControllerManagerPair = "controller-manager"
	NodePair              = "node"

	serviceAccountKeyFile = "service-account.key"
)

// The ports of every member.
const (
	RESTPort              = 6443
	GRPCPort              = 6442
	RaftPort              = 6444
	GossipPort            = 7946
	SchedulerPort         = 6445
	ControllerManagerPort = 6446
)

// KubernetesServiceIP is the first address of the default service network,
// where pods find the API.
const KubernetesServiceIP = "10.96.0.1"

// Address joins a host and one of the ports.
func Address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// Addresses joins hosts and a port.
func Addresses(hosts []string, port int) []string {
	var out []string
	for _, host := range hosts {
		out = append(out, Address(host, port))
	}
	return out
}

// Cluster is what all servers of a cluster share.
type Cluster struct {
	CA *pki.CA
	ID string
	// Epoch is how often the cluster was recovered from the loss of its majority.
	Epoch                uint64
	GossipKey            []byte
	ServiceAccountKeyPEM []byte
}

// NewCluster makes a cluster's secrets.
func NewCluster(name string) (*Cluster, error) {
	ca, err := pki.NewCA(name)
	if err != nil {
		return nil, err
	}
	saKey, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	id, key := make([]byte, 16), make([]byte, 32)
	_, _ = rand.Read(id) // never fails
	_, _ = rand.Read(key)
	return &Cluster{CA: ca, ID: hex.EncodeToString(id), GossipKey: key, ServiceAccountKeyPEM: saKey}, nil
}

// Server describes a server's directory.
type Server struct {
	DataDir, Name string
	// Addresses the server is reached at; the first is advertised.
	Addresses []string
	// Bootstrap makes it form the cluster.
	Bootstrap bool
	// NonVoter makes it one that never votes.
	NonVoter bool
	// Servers are the addresses of all servers, without ports.
	Servers []string
}

// WriteServer gives a server its identity, and those of its scheduler and
// controller manager.
func (c *Cluster) WriteServer(s Server) error {
	dir := join.PKIDir(s.DataDir)
	if err := c.CA.Save(dir); err != nil {
		return err
	}
	own := pki.ServerAddresses(append([]string{KubernetesServiceIP, s.Name}, s.Addresses...)...)
	for name, id := range map[string]pki.Identity{
		ServerPair:            pki.ServerIdentity(s.Name),
		SchedulerPair:         {User: pki.UserScheduler},
		ControllerManagerPair: {User: pki.UserControllerManager},
	} {
		var addresses []string
		if name == ServerPair {
			addresses = own
		}
		pair, err := c.issue(id, addresses)
		if err != nil {
			return err
		}
		if err := pair.Save(dir, name); err != nil {
			return err
		}
	}
	if err := durable.ReplaceFile(filepath.Join(dir, serviceAccountKeyFile), c.ServiceAccountKeyPEM, 0o600); err != nil {
		return fmt.Errorf("save service account key: %w", err)
	}
	// The membership comes last: with it, the directory is whole.
	m := c.membership(s.Name, s.Servers)
	m.Bootstrap, m.NonVoter, m.Epoch = s.Bootstrap, s.NonVoter, c.Epoch
	return m.Save(s.DataDir)
}

// WriteNode gives an agent its identity.
func (c *Cluster) WriteNode(dataDir, name string, servers []string) error {
	pair, err := c.issue(pki.NodeIdentity(name), nil)
	if err != nil {
		return err
	}
	if err := pair.Save(join.PKIDir(dataDir), NodePair); err != nil {
		return err
	}
	return c.membership(name, servers).Save(dataDir)
}

// WriteAdmin writes an administrator's kubeconfig.
func (c *Cluster) WriteAdmin(path, clusterName, restAddress string, servers []string) error {
	pair, err := c.issue(pki.AdminIdentity(), nil)
	if err != nil {
		return err
	}
	return kubeconfig.Write(path, kubeconfig.Access{
		Cluster: clusterName, Server: "https://" + restAddress, GRPC: Addresses(servers, GRPCPort), KeyPair: pair,
	})
}

func (c *Cluster) issue(id pki.Identity, addresses []string) (*pki.KeyPair, error) {
	certPEM, keyPEM, err := c.CA.Issue(id, addresses, pki.CertificateLife)
	if err != nil {
		return nil, err
	}
	return pki.NewKeyPair(certPEM, keyPEM, c.CA.CertificatePEM())
}

func (c *Cluster) membership(name string, servers []string) join.Membership {
	return join.Membership{
		Name: name, ClusterID: c.ID, GossipKey: c.GossipKey,
		GossipAddresses: Addresses(servers, GossipPort), APIAddresses: Addresses(servers, GRPCPort),
	}
}

// ServiceAccountKey reads the key from a server's directory.
func ServiceAccountKey(dataDir string) ([]byte, error) {
	key, err := os.ReadFile(filepath.Join(join.PKIDir(dataDir), serviceAccountKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read service account key: %w", err)
	}
	return key, nil
}
