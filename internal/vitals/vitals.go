// Package vitals has a process tell how it does when it is asked by a signal:
// kill -USR1 PID writes one line to its log.
package vitals

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Vitals are what grows when something leaks.
type Vitals struct {
	// Goroutines that exist, FDs that are open (-1 where /proc does not tell).
	Goroutines, FDs int
	// HeapBytes in use by live objects as of the last collection.
	HeapBytes uint64
}

// Read measures the process, after a garbage collection.
func Read() Vitals {
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	v := Vitals{Goroutines: runtime.NumGoroutine(), FDs: -1, HeapBytes: memory.HeapAlloc}
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		v.FDs = len(list) - 1 // the directory itself
	}
	return v
}

// During runs f and logs the vitals at every SIGUSR1 meanwhile.
func During(ctx context.Context, logger *slog.Logger, f func(context.Context) error) error {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	defer signal.Stop(asked)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-asked:
				v := Read()
				logger.Info("vitals", "goroutines", v.Goroutines, "fds", v.FDs, "heapBytes", v.HeapBytes)
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	return f(ctx)
}
