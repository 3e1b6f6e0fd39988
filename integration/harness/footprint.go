package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Print is what clusters and pods may leave on a machine, by kind.
type Print map[string][]string

// Footprint lists it: mounts, pinned and named network namespaces, links,
// cgroups, nftables tables and Muster's processes.
func Footprint() (Print, error) {
	p := Print{}
	var errs []error
	for _, source := range []struct {
		kind string
		list func() ([]string, error)
	}{
		{"mounts", mounts},
		{"network namespaces", func() ([]string, error) { return names("/run/netns") }},
		{"links", func() ([]string, error) { return names("/sys/class/net") }},
		{"cgroups", cgroups},
		{"nftables tables", func() ([]string, error) { return lines("nft", "list", "tables") }},
		{"processes", processes},
	} {
		list, err := source.list()
		if err != nil {
			errs = append(errs, fmt.Errorf("list %s: %w", source.kind, err))
		}
		slices.Sort(list)
		p[source.kind] = list
	}
	return p, errors.Join(errs...)
}

// Since returns an error that names everything in p that was not in before.
func (p Print) Since(before Print) error {
	var errs []error
	for kind, list := range p {
		var added []string
		for _, item := range list {
			if _, was := slices.BinarySearch(before[kind], item); !was {
				added = append(added, item)
			}
		}
		if len(added) > 0 {
			errs = append(errs, fmt.Errorf("%d %s: %s", len(added), kind, strings.Join(added, ", ")))
		}
	}
	return errors.Join(errs...)
}

// Count returns how many items each kind has, for comparing a cluster with
// itself.
func (p Print) Count() map[string]int {
	n := map[string]int{}
	for kind, list := range p {
		n[kind] = len(list)
	}
	return n
}

func mounts() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		list = append(list, strings.Fields(line)[4])
	}
	return list, nil
}

func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list, err
}

// cgroups lists those that Muster makes, in every hierarchy.
func cgroups() ([]string, error) {
	var list []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // went away while we looked
		}
		if err == nil && d.IsDir() && strings.Contains(path, "muster") {
			list = append(list, path)
		}
		return err
	})
	return list, err
}

func lines(name string, args ...string) ([]string, error) {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), nil
}

// processes lists the muster binary's and containerd's by id and command line.
func processes() ([]string, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var list []string
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // ended while we looked
		}
		args := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
		switch filepath.Base(args[0]) {
		case "muster", "containerd", "containerd-shim-runc-v2", "whoami":
			list = append(list, strings.Split(path, "/")[2]+" "+strings.Join(args, " "))
		}
	}
	return list, nil
}
