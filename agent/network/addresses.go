package network

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// addresses records which pod has which address, each in a file that is named
// by the address and holds the pod's UID.
type addresses struct {
	dir  string
	cidr netip.Prefix

	mu     sync.Mutex
	byPod  map[string]netip.Addr
	byAddr map[netip.Addr]string
	last   netip.Addr // so that a freed address is not the next one given
}

func loadAddresses(stateDir string, cidr netip.Prefix) (*addresses, error) {
	a := &addresses{dir: filepath.Join(stateDir, "addresses"), cidr: cidr,
		byPod: map[string]netip.Addr{}, byAddr: map[netip.Addr]string{}, last: cidr.Addr().Next()}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make address directory: %w", err)
	}
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(a.dir, e.Name())
		addr, err := netip.ParseAddr(e.Name())
		if err != nil { // left by a write that was interrupted
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove temporary file: %w", err)
			}
			continue
		}
		uid, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read address %s: %w", addr, err)
		}
		pod := strings.TrimSpace(string(uid))
		if _, twice := a.byPod[pod]; pod == "" || twice {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove address %s: %w", addr, err)
			}
			continue
		}
		a.byPod[pod], a.byAddr[addr] = addr, pod
	}
	return a, nil
}

// allocate gives a pod its address: the one it has, or a free one. One from a
// range that the node had before is of no use: nobody routes it here.
func (a *addresses) allocate(pod string) (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr, ok := a.byPod[pod]; ok {
		if a.cidr.Contains(addr) {
			return addr, nil
		}
		if err := a.forget(pod, addr); err != nil {
			return netip.Addr{}, err
		}
	}
	addr, err := a.free()
	if err != nil {
		return netip.Addr{}, err
	}
	if err := a.write(addr, pod); err != nil {
		return netip.Addr{}, fmt.Errorf("record address %s: %w", addr, err)
	}
	a.byPod[pod], a.byAddr[addr], a.last = addr, pod, addr
	return addr, nil
}

// free finds the next free address after the last one given. The network's
// first address, the gateway and the broadcast address are never given.
func (a *addresses) free() (netip.Addr, error) {
	first := a.cidr.Addr().Next().Next()
	addr := a.last
	for range 1 << (32 - a.cidr.Bits()) {
		addr = addr.Next()
		if !a.cidr.Contains(addr) || !a.cidr.Contains(addr.Next()) {
			addr = first
		}
		if _, taken := a.byAddr[addr]; !taken && addr != a.cidr.Addr().Next() {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no free address in %s", a.cidr)
}

// write makes the file whole or not at all.
func (a *addresses) write(addr netip.Addr, pod string) error {
	temporary := filepath.Join(a.dir, "tmp-"+addr.String())
	if err := os.WriteFile(temporary, []byte(pod+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(a.dir, addr.String()))
}

func (a *addresses) release(pod string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr, ok := a.byPod[pod]; ok {
		return a.forget(pod, addr)
	}
	return nil
}

// forget frees an address. The caller holds the lock.
func (a *addresses) forget(pod string, addr netip.Addr) error {
	if err := os.Remove(filepath.Join(a.dir, addr.String())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release address %s: %w", addr, err)
	}
	delete(a.byPod, pod)
	delete(a.byAddr, addr)
	return nil
}

func (a *addresses) all() map[string]netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.byPod)
}

func (a *addresses) clear() error {
	var errs []error
	for pod := range a.all() {
		errs = append(errs, a.release(pod))
	}
	if err := os.Remove(a.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
