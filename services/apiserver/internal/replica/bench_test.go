package replica_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// onLoopback starts members with disks on loopback.
func onLoopback(b *testing.B, size int) *cluster {
	b.Helper()
	c := &cluster{t: b}
	var addresses []string
	for i := range size {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		addresses = append(addresses, listener.Addr().String())
		c.members = append(c.members, run(b, replica.Config{
			ID: fmt.Sprintf("m%d", i+1), ClusterID: "c", Dir: b.TempDir(), Bootstrap: i == 0, Listener: listener,
		}))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i, m := range c.members[1:] {
		if err := c.members[0].AddVoter(ctx, m.id, addresses[i+1]); err != nil {
			b.Fatal(err)
		}
	}
	for _, m := range c.members {
		if err := m.WaitReady(ctx); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// BenchmarkApply writes entries of 1 KiB, from callers spread over all members.
func BenchmarkApply(b *testing.B) {
	value := strings.Repeat("v", 1024)
	for _, size := range []int{1, 3} {
		for _, callers := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("members=%d/callers=%d", size, callers), func(b *testing.B) {
				c := onLoopback(b, size)
				defer c.stop()
				var next atomic.Int64
				var working sync.WaitGroup
				used, entries := processorTime(b), c.members[0].Store().View().Index()
				b.ResetTimer()
				for i := range callers {
					m := c.members[i%size]
					working.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							if _, err := m.Apply(context.Background(), create(fmt.Sprint(n), value)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				working.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
				b.ReportMetric(float64((processorTime(b)-used).Microseconds())/float64(b.N), "cpu-us/write")
				b.ReportMetric(float64(b.N)/float64(c.members[0].Store().View().Index()-entries), "writes/entry")
				b.StopTimer()
			})
		}
	}
}

// BenchmarkRead reads linearizably, from callers spread over all members.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{1, 3} {
		b.Run(fmt.Sprintf("members=%d/callers=64", size), func(b *testing.B) {
			c := onLoopback(b, size)
			defer c.stop()
			var next atomic.Int64
			var working sync.WaitGroup
			used := processorTime(b)
			b.ResetTimer()
			for i := range 64 {
				m := c.members[i%size]
				working.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if _, err := m.Read(context.Background()); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			working.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
			b.ReportMetric(float64((processorTime(b)-used).Microseconds())/float64(b.N), "cpu-us/read")
			b.StopTimer()
		})
	}
}

// processorTime is what this process, with all members, has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
