package dev

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// hierarchy is a mounted cgroup file system.
type hierarchy struct {
	path    string
	unified bool
	options string
}

// hierarchies lists them: one on a cgroup v2 machine, many with v1.
func hierarchies() ([]hierarchy, error) {
	mounts, err := mountTable()
	if err != nil {
		return nil, err
	}
	var out []hierarchy
	for _, m := range mounts {
		if m.fsType == "cgroup" || m.fsType == "cgroup2" {
			out = append(out, hierarchy{path: m.path, unified: m.fsType == "cgroup2", options: m.options})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no cgroup file system is mounted")
	}
	return out, nil
}

// joinable is the hierarchy by which a member's own processes are kept
// together: v2 where it is alone, pids beside v1 controllers, where it needs no
// set-up.
func joinable() (string, error) {
	all, err := hierarchies()
	if err != nil {
		return "", err
	}
	for _, h := range all {
		if !h.unified && slices.Contains(strings.Split(h.options, ","), "pids") {
			return h.path, nil
		}
	}
	for _, h := range all {
		if h.unified {
			return h.path, nil
		}
	}
	return "", errors.New("neither a pids nor a unified cgroup hierarchy is mounted")
}

// systemCgroup makes the cgroup of a member's own processes, beside its pods',
// and returns its directory.
func systemCgroup(member string) (string, error) {
	root, err := joinable()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, member, "system")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cgroup: %w", err)
	}
	return dir, nil
}

// inCgroup lists the processes at and below a cgroup, in any hierarchy.
func inCgroup(cgroup string) ([]int, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var out []int
	for _, h := range all {
		err := filepath.WalkDir(filepath.Join(h.path, cgroup), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !d.IsDir() {
				return err
			}
			pids, err := readPids(filepath.Join(path, "cgroup.procs"))
			out = append(out, pids...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list cgroup %s: %w", cgroup, err)
		}
	}
	return out, nil
}

func readPids(path string) ([]int, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []int
	for _, field := range strings.Fields(string(content)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			out = append(out, pid)
		}
	}
	return out, nil
}

// removeCgroup removes a cgroup and all below it, in every hierarchy.
func removeCgroup(cgroup string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var failures []error
	for _, h := range all {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(h.path, cgroup), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs) // children first
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failures = append(failures, fmt.Errorf("remove cgroup: %w", err))
			}
		}
	}
	return errors.Join(failures...)
}

// mount is a line of the mount table.
type mount struct{ path, fsType, options string }

// mountTable reads the mounts of this process's mount namespace, oldest first.
func mountTable() ([]mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	defer f.Close()
	var out []mount
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		out = append(out, mount{path: unescape(left[4]), fsType: right[0], options: right[2]})
	}
	return out, lines.Err()
}

// unescape decodes the octal escapes of the mount table.
func unescape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
