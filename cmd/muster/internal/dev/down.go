package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// remove takes everything away, in an order in which each step can be repeated:
// processes first, then what they held, the directory last.
func (c *Cluster) remove() error {
	namespaces, err := filepath.Glob(filepath.Join(netnsDir, netnsPrefix(c.Name)+"*"))
	if err != nil {
		return err
	}
	if err := killAll("cluster "+c.Name, func() ([]int, error) { return c.everyPid(namespaces) }); err != nil {
		return err
	}
	containerds, _ := filepath.Glob(filepath.Join(c.dir, "*", "containerd"))
	for _, dir := range containerds {
		removeShimFiles(dir)
	}
	if err := unmountBelow(c.dir); err != nil {
		return err
	}
	if err := c.removeCgroups(); err != nil {
		return err
	}
	if err := removeNetwork(c.Name); err != nil {
		return err
	}
	for _, path := range namespaces {
		if err := removeNamespace(filepath.Base(path)); err != nil {
			return err
		}
	}
	unshareNamespaces()
	if err := c.restoreForwarding(); err != nil {
		return err
	}
	if err := c.removeDirectory(); err != nil {
		return fmt.Errorf("remove directory: %w", err)
	}
	_ = os.Remove(DefaultRoot) // with the last cluster; it is not empty until then
	return nil
}

// removeDirectory takes the cluster's state last: by it a directory that was
// removed in part is still known to be the cluster's.
func (c *Cluster) removeDirectory() error {
	entries, err := entriesOf(c.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry == stateFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.dir, entry)); err != nil {
			return err
		}
	}
	return os.RemoveAll(c.dir)
}

// forRemoval is the cluster to remove. Everything in its directory goes with
// it, so a directory that may be somebody else's is refused.
func forRemoval(name, dir string) (*Cluster, error) {
	c, err := load(dir)
	if err == nil && c.Name != name {
		return nil, fmt.Errorf("%s belongs to cluster %s: `%s` removes that one", dir, c.Name, commandFor("down", c.Name, dir))
	}
	if err == nil {
		return c, nil
	}
	// What has the cluster's name can be found without its state.
	c = &Cluster{Name: name, dir: dir}
	if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Join(DefaultRoot, name) {
		return c, nil
	}
	entries, err := entriesOf(dir)
	if err != nil || len(entries) == 0 {
		return c, err
	}
	foreign := slices.IndexFunc(entries, func(name string) bool { return !madeByCluster.MatchString(name) })
	if foreign >= 0 || !slices.Contains(entries, string(Server)+"1") {
		return nil, fmt.Errorf("%s is not a cluster's: it has files in it, but no %s: check --data-dir", dir, stateFile)
	}
	return c, nil
}

// madeByCluster matches what a cluster makes in its directory.
var madeByCluster = regexp.MustCompile(`^(logs|kubeconfig|cluster\.json\.tmp|(server|node)[0-9]+)$`)

// entriesOf lists a directory; one that is absent has no entries.
func entriesOf(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []string
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out, nil
}

// everyPid lists what is in the cluster's cgroups or namespaces, or recorded.
func (c *Cluster) everyPid(namespaces []string) ([]int, error) {
	out, err := inCgroup(c.cgroup(""))
	if err != nil {
		return nil, err
	}
	for _, path := range namespaces {
		more, err := inNamespace(filepath.Base(path))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	recorded := []Process{c.Balancer}
	for _, m := range c.Members {
		recorded = append(recorded, m.Processes...)
	}
	for _, p := range recorded {
		if p.state() != "dead" {
			out = append(out, p.Pid)
		}
	}
	return out, nil
}

// removeCgroups tries again for a moment: the kernel lets go of a killed
// process's cgroup a little after the process is gone.
func (c *Cluster) removeCgroups() error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := removeCgroup(c.cgroup(""))
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	// The common parent goes with the last cluster; it is busy until then.
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		_ = os.Remove(filepath.Join(h.path, "muster-dev"))
	}
	return nil
}

// restoreForwarding switches forwarding off again with the last cluster, when
// it was a cluster that had switched it on.
func (c *Cluster) restoreForwarding() error {
	if !c.ForwardingWasOff {
		return nil
	}
	others, err := otherClusters()
	if err != nil || others {
		return err
	}
	if err := os.WriteFile(forwardingFile, []byte("0"), 0); err != nil && !strings.Contains(err.Error(), "read-only") {
		return fmt.Errorf("switch forwarding off: %w", err)
	}
	return nil
}
