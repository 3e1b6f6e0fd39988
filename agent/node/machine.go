// Package node describes this machine as a Node object and keeps it current.
package node

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// maxPods is kubelet's default.
const maxPods = 110

// capacity of the machine, or of the cgroup that the agent is confined to.
func capacity(dataDir string) (corev1.ResourceList, error) {
	memory, err := meminfo("MemTotal")
	if err != nil {
		return nil, err
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if limit, ok := readNumber(file); ok && limit > 0 {
			memory = min(memory, limit)
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dataDir, &fs); err != nil {
		return nil, fmt.Errorf("measure %s: %w", dataDir, err)
	}
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewMilliQuantity(cpus(), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(int64(fs.Blocks)*fs.Bsize, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(maxPods, resource.DecimalSI),
	}, nil
}

// cpus in thousandths.
func cpus() int64 {
	all := int64(runtime.NumCPU()) * 1000
	if b, err := os.ReadFile("/sys/fs/cgroup/cpu.max"); err == nil {
		f := strings.Fields(string(b))
		if len(f) == 2 {
			quota, errQ := strconv.ParseInt(f[0], 10, 64)
			period, errP := strconv.ParseInt(f[1], 10, 64)
			if errQ == nil && errP == nil && period > 0 {
				return min(all, quota*1000/period)
			}
		}
		return all
	}
	quota, okQ := readNumber("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
	period, okP := readNumber("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
	if okQ && okP && quota > 0 && period > 0 {
		return min(all, quota*1000/period)
	}
	return all
}

func readNumber(file string) (int64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// meminfo reads a line of /proc/meminfo, in bytes.
func meminfo(key string) (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("measure memory: %w", err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if value, ok := strings.CutPrefix(sc.Text(), key+":"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("measure memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("measure memory: /proc/meminfo has no %s", key)
}

// BootID identifies this boot of the machine.
func BootID() string { return firstLine("/proc/sys/kernel/random/boot_id") }

// SELinux says whether the machine's kernel runs SELinux.
func SELinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}

func firstLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

func osImage() string {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "Linux"
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return "Linux"
}

func kernelVersion() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// Pressure is what the machine runs short of, by kubelet's thresholds for evictions:
// the conditions of the Node that the agent writes.
type Pressure struct{ Memory, Disk, PIDs bool }

const (
	minMemory      = 100 << 20
	minDiskPercent = 10
	minPIDPercent  = 5
)

func measure(dataDir string) (Pressure, error) {
	available, err := meminfo("MemAvailable")
	if err != nil {
		return Pressure{}, err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dataDir, &fs); err != nil {
		return Pressure{}, fmt.Errorf("measure %s: %w", dataDir, err)
	}
	p := Pressure{Memory: available < minMemory, Disk: fs.Bavail*100 < fs.Blocks*minDiskPercent}
	var info unix.Sysinfo_t
	if limit, ok := readNumber("/proc/sys/kernel/pid_max"); ok && unix.Sysinfo(&info) == nil {
		p.PIDs = (limit-int64(info.Procs))*100 < limit*minPIDPercent
	}
	return p, nil
}
