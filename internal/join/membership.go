package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/internal/pki"
)

const membershipFile = "membership.json"

// Membership is what a member keeps on disk beside its certificates, so that a
// restart needs no token.
type Membership struct {
	// Name of the node or server, or of the instance of a service.
	Name string `json:"name"`
	// Service says which one the directory is of, when it is neither a node's nor
	// a server's: those of a service hold no secret of the cluster.
	Service string `json:"service,omitempty"`
	// ClusterID that all data directories of the cluster carry.
	ClusterID string `json:"clusterID"`
	// GossipKey encrypts the pool; services do not gossip.
	GossipKey []byte `json:"gossipKey,omitempty"`
	// GossipAddresses are the servers', to join the pool by.
	GossipAddresses []string `json:"gossipAddresses,omitempty"`
	// APIAddresses are the gRPC addresses of the servers.
	APIAddresses []string `json:"apiAddresses,omitempty"`
	// Bootstrap marks the server that formed the cluster.
	Bootstrap bool `json:"bootstrap,omitempty"`
	// Started says that a server has had a log: were it gone, another one must
	// not be begun in its place.
	Started bool `json:"started,omitempty"`
	// NonVoter says that a server never votes.
	NonVoter bool `json:"nonVoter,omitempty"`
	// Epoch of the cluster that a server joined.
	Epoch uint64 `json:"epoch,omitempty"`
	// Entered says that a server was a member: one that is none any more was
	// removed.
	Entered bool `json:"entered,omitempty"`
}

// PKIDir is where a member's certificates are, below its data directory.
func PKIDir(dataDir string) string { return filepath.Join(dataDir, "pki") }

// Save writes the membership; it holds the gossip key, so only the owner reads it.
func (m Membership) Save(dataDir string) error {
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("save membership: %w", err)
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("save membership: %w", err)
	}
	path := filepath.Join(dataDir, membershipFile)
	if err := durable.ReplaceFile(path, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("save membership: %w", err)
	}
	return nil
}

// LoadMembership reads what Save wrote. It wraps fs.ErrNotExist when the
// directory belongs to no member yet.
func LoadMembership(dataDir string) (Membership, error) {
	path := filepath.Join(dataDir, membershipFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) {
		return Membership{}, fmt.Errorf("load membership: %w: run as the user who owns the directory, or choose another one with --data-dir", err)
	}
	if err != nil {
		return Membership{}, fmt.Errorf("load membership: %w", err)
	}
	var m Membership
	if err := json.Unmarshal(content, &m); err != nil {
		return Membership{}, fmt.Errorf("load membership %s: %w: the file is damaged; restore it from a backup, or move the data directory away and join again", path, err)
	}
	if m.Name == "" || m.ClusterID == "" || len(m.GossipKey) == 0 && m.Service == "" {
		return Membership{}, fmt.Errorf("load membership %s: incomplete; restore it from a backup, or move the data directory away and join again", path)
	}
	return m, nil
}

// IsMember says whether the directory belongs to a member already.
func IsMember(dataDir string) (bool, error) {
	_, err := LoadMembership(dataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// CheckCluster returns an error when a token is for another cluster than the one
// that the member belongs to, and so cannot have been meant for it.
func CheckCluster(dataDir, text string) error {
	token, err := ParseToken(text)
	if err != nil {
		return err
	}
	path := filepath.Join(PKIDir(dataDir), "ca.crt")
	caPEM, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("load CA: %w", err)
	}
	if err := pki.CheckPin(caPEM, token.Pin); err != nil {
		return fmt.Errorf("%s belongs to a member of another cluster than the token's (%w): start without --join, or choose another --data-dir", dataDir, err)
	}
	return nil
}

// CheckService returns an error when the directory is of another service than the
// one given; nodes and servers give none.
func (m Membership) CheckService(dataDir, service string) error {
	switch m.Service {
	case service:
		return nil
	case "":
		return fmt.Errorf("%s belongs to a node or a server, %s: choose another --data-dir", dataDir, m.Name)
	}
	return fmt.Errorf("%s belongs to a %s, %s: choose another --data-dir", dataDir, m.Service, m.Name)
}

// LoadPair reads the certificate of the given name from the member's pki directory.
func LoadPair(dataDir, name string) (*pki.KeyPair, error) {
	dir := PKIDir(dataDir)
	return pki.LoadKeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), filepath.Join(dir, "ca.crt"))
}
