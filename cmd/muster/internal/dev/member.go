package dev

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// containerdConfig keeps a node's containerd to the node's own directory. Its
// CRI plugin is of no use: the agent calls containerd itself.
const containerdConfig = `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = %q

[plugins."io.containerd.internal.v1.opt"]
  path = %q
`

func (c *Cluster) containerdSocket(m *Member) string {
	return filepath.Join(c.containerdDir(m), "containerd.sock")
}

// specs are what runs on a member, in the order of starting.
func (c *Cluster) specs(m *Member) []spec {
	at := func(name string) spec {
		return spec{
			name: name, cgroup: c.cgroup(m.Name), netns: filepath.Join(netnsDir, c.netns(m)),
			log: filepath.Join(c.dir, "logs", m.Name+"-"+name+".log"),
		}
	}
	if m.Role == Server {
		server := at(serverProcess)
		server.args = []string{"server", "--name", m.Name, "--data-dir", c.memberDir(m), "--advertise-address", m.IP.String()}
		return []spec{server}
	}
	containerd, agent := at(containerdProcess), at(agentProcess)
	containerd.command = containerdProcess
	containerd.args = []string{"--config", filepath.Join(c.containerdDir(m), "config.toml")}
	agent.args = []string{
		"agent", "--name", m.Name, "--data-dir", c.memberDir(m), "--node-ip", m.IP.String(),
		"--containerd", c.containerdSocket(m), "--cgroup-parent", "/" + c.cgroup(m.Name),
	}
	return []spec{containerd, agent}
}

// start starts the processes of a member that do not run, or only the named one.
func (c *Cluster) start(m *Member, only string) error {
	if m.Role == Node {
		if err := c.configureContainerd(m); err != nil {
			return err
		}
	}
	for _, s := range c.specs(m) {
		i := slices.IndexFunc(m.Processes, func(p Process) bool { return p.Name == s.name })
		if only != "" && only != s.name || i >= 0 && m.Processes[i].state() != "dead" {
			continue
		}
		started, err := spawn(s)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		if i >= 0 {
			m.Processes[i] = started
		} else {
			m.Processes = append(m.Processes, started)
		}
	}
	return nil
}

func (c *Cluster) configureContainerd(m *Member) error {
	dir := c.containerdDir(m)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	config := fmt.Sprintf(containerdConfig, filepath.Join(dir, "root"), filepath.Join(dir, "state"), c.containerdSocket(m), filepath.Join(dir, "opt"))
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	return nil
}

// pids lists all that runs on a member: what was started and recorded, what is
// in its cgroups (pods and shims too) and what is in its namespace.
func (c *Cluster) pids(m *Member) ([]int, error) {
	out, err := inCgroup(c.cgroup(m.Name))
	if err != nil {
		return nil, err
	}
	more, err := inNamespace(c.netns(m))
	if err != nil {
		return nil, err
	}
	out = append(out, more...)
	for _, p := range m.Processes {
		if p.state() != "dead" {
			out = append(out, p.Pid)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// powerOff does to a node what a power cut does to a machine: processes, mounts,
// namespace and what is kept in memory only are gone; the disk stays. Its cable
// goes first: a machine without power does not refuse connections, it is silent.
func (c *Cluster) powerOff(m *Member) error {
	if _, err := os.Stat(filepath.Join(netnsDir, c.netns(m))); err == nil && m.Role == Node {
		if err := c.setLink(m, false); err != nil {
			return err
		}
	}
	if err := killAll(m.Name, func() ([]int, error) { return c.pids(m) }); err != nil {
		return err
	}
	if m.Role == Server {
		return nil
	}
	removeShimFiles(c.containerdDir(m))
	if err := unmountBelow(c.memberDir(m)); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(c.containerdDir(m), "state")); err != nil {
		return fmt.Errorf("power off %s: %w", m.Name, err)
	}
	if err := removeCgroup(c.cgroup(m.Name)); err != nil {
		return err
	}
	return c.detach(m)
}

// unmountBelow unmounts everything below a directory, innermost first.
func unmountBelow(dir string) error {
	mounts, err := mountTable()
	if err != nil {
		return err
	}
	slices.Reverse(mounts)
	for _, m := range mounts {
		if !strings.HasPrefix(m.path, dir+"/") {
			continue
		}
		if err := unix.Unmount(m.path, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			return fmt.Errorf("unmount %s: %w", m.path, err)
		}
	}
	return nil
}

// removeShimFiles removes what containerd's shims keep outside of containerd's
// own directories: their sockets, and runc's state of their containers. A
// machine that reboots loses them with /run.
func removeShimFiles(containerd string) {
	bundles, _ := filepath.Glob(filepath.Join(containerd, "state", "io.containerd.runtime.v2.task", "*", "*"))
	for _, bundle := range bundles {
		if address, err := os.ReadFile(filepath.Join(bundle, "address")); err == nil {
			socket := strings.TrimPrefix(strings.TrimSpace(string(address)), "unix://")
			if strings.HasPrefix(socket, "/run/containerd/s/") {
				_ = os.Remove(socket)
			}
		}
		id, namespace := filepath.Base(bundle), filepath.Base(filepath.Dir(bundle))
		_ = os.RemoveAll(filepath.Join("/run/containerd/runc", namespace, id))
	}
}
