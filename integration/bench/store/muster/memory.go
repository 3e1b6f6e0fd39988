package muster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

// account writes for each SIGUSR2 what the memory of the process is for: the
// heap's profile as of the last collection, and the totals of the runtime and
// of the kernel.
func (m memberConfig) account(ctx context.Context, logger *slog.Logger) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2)
	for n := 1; ; n++ {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		totals := filepath.Join(m.Dir, fmt.Sprintf("memory-%03d.txt", n))
		heap := filepath.Join(m.Dir, fmt.Sprintf("heap-%03d.pprof", n))
		for path, write := range map[string]func(io.Writer) error{totals: writeTotals, heap: pprof.WriteHeapProfile} {
			if err := writeFile(path, write); err != nil {
				logger.Error("account for memory", "file", path, "error", err)
			}
		}
	}
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return write(file)
}

// writeTotals writes runtime.MemStats' totals in bytes, once as they are and
// once after a collection, what collections cost, and the sums of
// /proc/self/smaps_rollup with the peak in /proc/self/status (see proc(5)).
func writeTotals(to io.Writer) error {
	rollup, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM:") {
			rollup = append(rollup, line...)
		}
	}
	writeTimes(to)
	writeStats(to, "found")
	runtime.GC()
	writeStats(to, "collected")
	_, err = to.Write(rollup)
	return err
}

// writeTimes writes the processor time of the process, and what of it collections
// took until the last one: marking beside the program, in its allocations, and
// while a processor was idle, and all together.
func writeTimes(to io.Writer) {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		fmt.Fprintf(to, "%-9s  %-28s %12.2f\n", "processor", "all, seconds", time.Duration(usage.Utime.Nano()+usage.Stime.Nano()).Seconds())
	}
	for _, name := range []string{"mark/dedicated", "mark/assist", "mark/idle", "pause", "total"} {
		sample := []metrics.Sample{{Name: "/cpu/classes/gc/" + name + ":cpu-seconds"}}
		metrics.Read(sample)
		fmt.Fprintf(to, "%-9s  %-28s %12.2f\n", "processor", "collecting, "+name, sample[0].Value.Float64())
	}
}

func writeStats(to io.Writer, when string) {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	for _, f := range []struct {
		name  string
		bytes uint64
	}{
		{"heap objects, live and dead", s.HeapAlloc}, {"heap spans in use", s.HeapInuse}, {"heap idle, not returned", s.HeapIdle - s.HeapReleased},
		{"next collection at", s.NextGC}, {"stacks", s.StackInuse}, {"collector", s.GCSys}, {"spans and caches", s.MSpanSys + s.MCacheSys},
		{"buckets and others", s.BuckHashSys + s.OtherSys},
	} {
		fmt.Fprintf(to, "%-9s  %-28s %12d\n", when, f.name, f.bytes)
	}
	fmt.Fprintf(to, "%-9s  %-28s %12d\n", when, "heap objects, count", s.HeapObjects)
	fmt.Fprintf(to, "%-9s  %-28s %12d\n", when, "collections", s.NumGC)
}
