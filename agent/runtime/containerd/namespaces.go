package containerd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespaceKinds are the files that a sandbox may have under ns/.
var namespaceKinds = []string{"net", "ipc", "uts"}

type pins struct {
	paths                func(kind string) string
	kinds                []string
	hostname, domainname string
	sysctls              map[string]string
}

// pinNamespaces makes new namespaces and binds them to files; no process stays
// in them. A thread of its own does it and ends with the goroutine, since it
// can never be used for anything else again.
func pinNamespaces(p pins) error {
	done := make(chan error, 1)
	go func() {
		goruntime.LockOSThread()
		done <- p.pin()
	}()
	return <-done
}

func (p pins) pin() error {
	flags := map[string]int{"net": unix.CLONE_NEWNET, "ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS}
	var all int
	own := map[string]bool{}
	for _, kind := range p.kinds {
		all |= flags[kind]
		own[kind] = true
	}
	if all == 0 {
		return nil
	}
	if err := unix.Unshare(all); err != nil {
		return fmt.Errorf("unshare namespaces: %w", err)
	}
	if own["uts"] {
		if err := setNames(p.hostname, p.domainname); err != nil {
			return err
		}
	}
	if own["net"] {
		if err := prepareNetwork(); err != nil {
			return err
		}
	}
	for key, value := range p.sysctls {
		if err := os.WriteFile(sysctlPath(key), []byte(value), 0o644); err != nil {
			return fmt.Errorf("set sysctl %s: %w", key, err)
		}
	}
	for _, kind := range p.kinds {
		if err := bindNamespace(kind, p.paths(kind)); err != nil {
			return err
		}
	}
	return nil
}

func setNames(hostname, domainname string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set hostname %q: %w", hostname, err)
	}
	if domainname == "" {
		domainname = "(none)" // The kernel's own word for no domain.
	}
	if err := unix.Setdomainname([]byte(domainname)); err != nil {
		return fmt.Errorf("set domainname %q: %w", domainname, err)
	}
	return nil
}

// prepareNetwork brings the loopback up and, as every CRI runtime does, lets
// unprivileged processes ping and listen on low ports.
func prepareNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	for key, value := range map[string]string{
		"net.ipv4.ping_group_range":           "0 2147483647",
		"net.ipv4.ip_unprivileged_port_start": "0",
	} {
		err := os.WriteFile(sysctlPath(key), []byte(value), 0o644)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("set sysctl %s: %w", key, err)
		}
	}
	return nil
}

func sysctlPath(key string) string {
	return filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
}

func bindNamespace(kind, target string) error {
	f, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	source := fmt.Sprintf("/proc/self/task/%d/ns/%s", unix.Gettid(), kind)
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s namespace to %s: %w", kind, target, err)
	}
	return nil
}

// pinned says whether a namespace is bound to the file; after a reboot it is a plain one.
func pinned(name string) bool {
	var st unix.Statfs_t
	return unix.Statfs(name, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// unpin takes all bindings off the file and removes it; also when there is none.
func unpin(name string) error {
	for pinned(name) {
		if err := unix.Unmount(name, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", name, err)
		}
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
