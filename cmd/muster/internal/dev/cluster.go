// Package dev runs a whole cluster on one machine: each server and node in a
// network namespace of its own, with real processes that can be killed, paused
// or cut off.
package dev

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultRoot holds the clusters that are given no directory.
const DefaultRoot = "/var/lib/muster-dev"

const stateFile = "cluster.json"

// Role is what a member is.
type Role string

// The roles.
const (
	Server Role = "server"
	Node   Role = "node"
)

// Cluster is what is remembered of a cluster, in DIR/cluster.json.
type Cluster struct {
	Name string `json:"name"`
	// Index is the third octet of the cluster's addresses, 10.89.INDEX.0/24.
	Index int `json:"index"`
	// BalancerPort is where kubectl calls, on 127.0.0.1.
	BalancerPort int       `json:"balancerPort"`
	Balancer     Process   `json:"balancer"`
	Members      []*Member `json:"members"`
	// ForwardingWasOff says that this machine did not forward before.
	ForwardingWasOff bool `json:"forwardingWasOff,omitempty"`

	dir string
}

// Member is a server or a node.
type Member struct {
	Name      string     `json:"name"`
	Role      Role       `json:"role"`
	IP        netip.Addr `json:"ip"`
	Processes []Process  `json:"processes,omitempty"`
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$`)

// DirOf is the directory of a cluster: the one asked for, or the default.
func DirOf(name, dir string) (string, error) {
	if !validName.MatchString(name) {
		return "", fmt.Errorf("cluster name %q: up to 20 lower case letters, digits and dashes", name)
	}
	if dir == "" {
		dir = filepath.Join(DefaultRoot, name)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	// A socket's path is bounded by the kernel, and containerd adds to its own.
	if longest := filepath.Join(dir, "node99/containerd/containerd.sock.ttrpc"); len(longest) > 107 {
		return "", fmt.Errorf("data directory %s: its path is too long for containerd's socket; choose a shorter one", dir)
	}
	return dir, nil
}

// commandFor words a command about a cluster so that it can be copied.
func commandFor(verb, name, dir string) string {
	command := "muster dev " + verb + " --name " + name
	if dir != filepath.Join(DefaultRoot, name) {
		command += " --data-dir " + dir
	}
	return command
}

func newCluster(name, dir string, servers, nodes int) *Cluster {
	c := &Cluster{Name: name, dir: dir}
	for i := range servers {
		c.Members = append(c.Members, &Member{Name: "server" + strconv.Itoa(i+1), Role: Server})
	}
	for i := range nodes {
		c.Members = append(c.Members, &Member{Name: "node" + strconv.Itoa(i+1), Role: Node})
	}
	return c
}

// setIndex gives every member its address.
func (c *Cluster) setIndex(index int) {
	c.Index = index
	first := map[Role]int{Server: 11, Node: 101}
	for _, m := range c.Members {
		m.IP = netip.AddrFrom4([4]byte{10, 89, byte(index), byte(first[m.Role])})
		first[m.Role]++
	}
}

func (c *Cluster) gateway() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 89, byte(c.Index), 1}), 24)
}

func (c *Cluster) bridge() string                 { return "muster-dev" + strconv.Itoa(c.Index) }
func (c *Cluster) veth(m *Member) string          { return "md" + strconv.Itoa(c.Index) + "-" + m.Name }
func (c *Cluster) netns(m *Member) string         { return netnsPrefix(c.Name) + m.Name }
func (c *Cluster) cgroup(member string) string    { return filepath.Join("muster-dev", c.Name, member) }
func (c *Cluster) memberDir(m *Member) string     { return filepath.Join(c.dir, m.Name) }
func (c *Cluster) containerdDir(m *Member) string { return filepath.Join(c.memberDir(m), "containerd") }
func (c *Cluster) kubeconfig() string             { return filepath.Join(c.dir, "kubeconfig") }

func netnsPrefix(cluster string) string { return "muster-" + cluster + "." }

func (c *Cluster) ofRole(role Role) []*Member {
	var out []*Member
	for _, m := range c.Members {
		if m.Role == role {
			out = append(out, m)
		}
	}
	return out
}

// find splits "node1/agent" and looks both up; the process is "" for the whole
// member.
func (c *Cluster) find(target string) (m *Member, process string, err error) {
	name, process, _ := strings.Cut(target, "/")
	var known []string
	for _, m := range c.Members {
		if m.Name != name {
			known = append(known, m.Name)
			continue
		}
		switch {
		case process == "", process == string(Server) && m.Role == Server, m.Role == Node && (process == agentProcess || process == containerdProcess):
			return m, process, nil
		}
		return nil, "", fmt.Errorf("%s has no process %q", name, process)
	}
	return nil, "", fmt.Errorf("cluster %s has no member %q; it has %s", c.Name, name, strings.Join(known, ", "))
}

// Open reads a running cluster's state and locks it until close is called.
func Open(name, dir string) (c *Cluster, unlock func(), err error) {
	dir, err = DirOf(name, dir)
	if err != nil {
		return nil, nil, err
	}
	unlock, err = lock(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("no cluster %s at %s: start one with `%s`, or say with --data-dir where it is", name, dir, commandFor("up", name, dir))
	}
	if err != nil {
		return nil, nil, needsRoot(err, name)
	}
	c, err = load(dir)
	if err != nil {
		unlock()
		return nil, nil, needsRoot(err, name)
	}
	return c, unlock, nil
}

// needsRoot words that a file of a cluster may not be read: root made them.
func needsRoot(err error, cluster string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cluster %s needs root: run it with sudo (%w)", cluster, err)
	}
	return err
}

func load(dir string) (*Cluster, error) {
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, fmt.Errorf("read cluster: %w", err)
	}
	c := &Cluster{dir: dir}
	if err := json.Unmarshal(content, c); err != nil {
		return nil, fmt.Errorf("read cluster %s: %w", filepath.Join(dir, stateFile), err)
	}
	return c, nil
}

func (c *Cluster) save() error {
	content, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write cluster: %w", err)
	}
	path := filepath.Join(c.dir, stateFile)
	if err := os.WriteFile(path+".tmp", append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("write cluster: %w", err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write cluster: %w", err)
	}
	return nil
}

// lock keeps two commands from changing the same cluster at once.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock cluster: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock cluster %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
