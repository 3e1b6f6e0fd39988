package node

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/agent/runtime"
)

// clockTick is the unit of /proc/stat: the kernel tells user space of a hundred
// ticks in a second on every architecture (proc(5), USER_HZ).
const clockTick = 10 * time.Millisecond

// Usage is what all of the machine has used since it was started.
func Usage() (used runtime.Usage, started time.Time, err error) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return used, started, err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		switch {
		case len(fields) > 8 && fields[0] == "cpu":
			used.CPU = busy(fields[1:])
		case len(fields) == 2 && fields[0] == "btime":
			seconds, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return used, started, fmt.Errorf("read when the machine was started: %w", err)
			}
			started = time.Unix(seconds, 0)
		}
	}
	sizes := map[string]int64{"MemTotal": 0, "MemFree": 0, "Inactive(file)": 0}
	for name := range sizes {
		if sizes[name], err = meminfo(name); err != nil {
			return used, started, err
		}
	}
	used.Memory = sizes["MemTotal"] - sizes["MemFree"]
	used.WorkingSet = used.Memory - sizes["Inactive(file)"]
	return used, started, nil
}

// busy adds up user, nice, system, irq, softirq and steal, which leaves out idle and
// the wait for disks.
func busy(ticks []string) time.Duration {
	var all int64
	for _, i := range []int{0, 1, 2, 5, 6, 7} {
		n, err := strconv.ParseInt(ticks[i], 10, 64)
		if err == nil {
			all += n
		}
	}
	return time.Duration(all) * clockTick
}
