package containerd

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/musterhq/muster/agent/runtime"
)

const (
	cgroupRoot  = "/sys/fs/cgroup"
	cpuPeriodUS = 100_000
)

func unified() bool { return cgroups.Mode() == cgroups.Unified }

// linuxResources translates limits; zero means none.
func linuxResources(r runtime.Resources) *specs.LinuxResources {
	out := &specs.LinuxResources{}
	if r.CPUShares > 0 || r.CPUQuotaUS > 0 {
		out.CPU = &specs.LinuxCPU{}
		if r.CPUShares > 0 {
			out.CPU.Shares = &r.CPUShares
		}
		if r.CPUQuotaUS > 0 {
			period := uint64(cpuPeriodUS)
			out.CPU.Quota, out.CPU.Period = &r.CPUQuotaUS, &period
		}
	}
	if r.MemoryBytes > 0 {
		out.Memory = &specs.LinuxMemory{Limit: &r.MemoryBytes}
	}
	if r.PidsLimit > 0 {
		out.Pids = &specs.LinuxPids{Limit: &r.PidsLimit}
	}
	return out
}

func makeCgroup(path string, r runtime.Resources) error {
	res := linuxResources(r)
	if unified() {
		_, err := cgroup2.NewManager(cgroupRoot, path, cgroup2.ToResources(res))
		return err
	}
	_, err := cgroup1.New(cgroup1.StaticPath(path), res)
	return err
}

func cgroupExists(path string) bool {
	name := filepath.Join(cgroupRoot, path)
	if !unified() {
		name = filepath.Join(cgroupRoot, "memory", path)
	}
	_, err := os.Stat(name)
	return err == nil
}

// removeCgroup removes a cgroup that no process is in any more, with those
// below it. The kernel lets go of one a moment after its last process.
func removeCgroup(path string) error {
	roots := []string{cgroupRoot}
	if !unified() {
		entries, err := os.ReadDir(cgroupRoot)
		if err != nil {
			return err
		}
		roots = roots[:0]
		for _, e := range entries {
			roots = append(roots, filepath.Join(cgroupRoot, e.Name()))
		}
	}
	for _, root := range roots {
		if err := removeTree(filepath.Join(root, path)); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes a directory of a cgroup file system, in which only
// directories can be removed.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for try := 0; ; try++ {
		err = os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if try == 20 {
			return err
		}
		time.Sleep(time.Duration(try+1) * time.Millisecond)
	}
}

// oomKilled asks the kernel whether it killed a process of the cgroup for memory.
func oomKilled(path string) bool {
	name := filepath.Join(cgroupRoot, path, "memory.events")
	if !unified() {
		name = filepath.Join(cgroupRoot, "memory", path, "memory.oom_control")
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if value, ok := strings.CutPrefix(sc.Text(), "oom_kill "); ok {
			n, err := strconv.Atoi(value)
			return err == nil && n > 0
		}
	}
	return false
}

// usage is what the kernel counts against the cgroup's limits.
func usage(path string) (runtime.Usage, error) {
	if unified() {
		m, err := cgroup2.Load(path)
		if err != nil {
			return runtime.Usage{}, err
		}
		stat, err := m.Stat()
		if err != nil {
			return runtime.Usage{}, err
		}
		return used(stat.GetCPU().GetUsageUsec()*1000, stat.GetMemory().GetUsage(), stat.GetMemory().GetInactiveFile()), nil
	}
	m, err := cgroup1.Load(cgroup1.StaticPath(path), cgroup1.WithHierarchy(measured))
	if err != nil {
		return runtime.Usage{}, err
	}
	stat, err := m.Stat()
	if err != nil {
		return runtime.Usage{}, err
	}
	memory := stat.GetMemory()
	return used(stat.GetCPU().GetUsage().GetTotal(), memory.GetUsage().GetUsage(), memory.GetTotalInactiveFile()), nil
}

// measured are the hierarchies that tell of CPU and memory.
func measured() ([]cgroup1.Subsystem, error) {
	return []cgroup1.Subsystem{cgroup1.NewCpuacct(cgroupRoot), cgroup1.NewMemory(cgroupRoot)}, nil
}

// used has a working set as Kubernetes computes it: without what the kernel can
// drop at once.
func used(cpu, memory, inactive uint64) runtime.Usage {
	return runtime.Usage{CPU: time.Duration(cpu), Memory: int64(memory), WorkingSet: int64(memory - min(memory, inactive))}
}

// ownOOMScoreAdj is the least that a container can have when the agent lacks
// CAP_SYS_RESOURCE.
func ownOOMScoreAdj() (int, error) {
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, fmt.Errorf("read own oom_score_adj: %w", err)
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
