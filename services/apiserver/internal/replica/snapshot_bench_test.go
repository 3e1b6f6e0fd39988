package replica

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

var million = flag.Bool("million", false, "measure snapshots of 1,000,000 objects too")

// objects returns a state of objects of 1 KiB: half of each is text that repeats,
// half is noise, as certificates and hashes are.
func objects(count int) *state.Store {
	const batch = 1000
	s := state.New()
	source := rand.New(rand.NewPCG(1, 2))
	for from := 0; from < count; from += batch {
		command := &storev1.Command{}
		for i := from; i < min(from+batch, count); i++ {
			command.Transactions = append(command.Transactions, putObject(i, source))
		}
		s.Apply(uint64(from/batch+1), command)
	}
	return s
}

func putObject(i int, source *rand.Rand) *storev1.Transaction {
	value := make([]byte, 0, 1024)
	for len(value) < 512 {
		value = fmt.Appendf(value, "containers: name: web-%d, image: registry.example/web:1.2.3; ", i)
	}
	for len(value) < 1024 {
		value = append(value, byte(source.Uint32()))
	}
	return &storev1.Transaction{Operations: []*storev1.Operation{{
		Key:    &storev1.Key{Resource: "pods", Namespace: fmt.Sprint("ns-", i%100), Name: fmt.Sprint("pod-", i)},
		Action: storev1.Action_ACTION_PUT, Value: value,
	}}}
}

func counts() []int {
	if *million {
		return []int{100_000, 1_000_000}
	}
	return []int{100_000}
}

// peak watches the heap from now on and returns, in MB, by how much it was larger
// at most.
func peak() (stop func() float64) {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-tick.C:
				runtime.ReadMemStats(&now)
				most.Store(max(most.Load(), now.HeapAlloc))
			case <-end:
				tick.Stop()
				return
			}
		}
	}()
	return func() float64 {
		close(end)
		<-ended
		return max(0, float64(most.Load())-float64(before.HeapAlloc)) / 1e6
	}
}

// BenchmarkSnapshot writes a snapshot to disk and restores it; MB/s are of objects.
func BenchmarkSnapshot(b *testing.B) {
	for _, count := range counts() {
		s := objects(count)
		dir := b.TempDir()
		store, err := openSnapshots(dir, quiet, nil)
		if err != nil {
			b.Fatal(err)
		}
		megabytes := float64(count) * 1024 / 1e6
		b.Run(fmt.Sprintf("write/objects=%d", count), func(b *testing.B) {
			stop := peak()
			for b.Loop() {
				k := begin(b, store, count)
				if err := (image{s.Image()}).Persist(k); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(stop(), "MB-peak")
			b.ReportMetric(megabytes*float64(b.N)/b.Elapsed().Seconds(), "MB/s")
			all, err := store.all()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(all[0].Size)/1e6, "MB-on-disk")
		})
		b.Run(fmt.Sprintf("restore/objects=%d", count), func(b *testing.B) {
			stop := peak()
			for b.Loop() {
				again, err := openSnapshots(dir, quiet, nil)
				if err != nil {
					b.Fatal(err)
				}
				if n := restoredFrom(b, again); n != count {
					b.Fatalf("%d objects", n)
				}
			}
			b.ReportMetric(stop(), "MB-peak")
			b.ReportMetric(megabytes*float64(b.N)/b.Elapsed().Seconds(), "MB/s")
		})
	}
}

// BenchmarkApplyDuringSnapshot tells what a write takes, to the log's disk and
// the state, alone and while snapshots are written one after the other.
func BenchmarkApplyDuringSnapshot(b *testing.B) {
	for _, busy := range []bool{false, true} {
		b.Run(fmt.Sprintf("snapshot=%v", busy), func(b *testing.B) {
			s := objects(100_000)
			store, err := openSnapshots(b.TempDir(), quiet, nil)
			if err != nil {
				b.Fatal(err)
			}
			log, err := os.Create(filepath.Join(b.TempDir(), "log"))
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			end, ended := make(chan struct{}), make(chan int)
			images := make(chan *state.Image, 1)
			go func() { ended <- persistAll(b, store, images, end) }()
			source := rand.New(rand.NewPCG(3, 4))
			var took []time.Duration
			index := uint64(1000)
			for b.Loop() {
				if busy {
					select {
					case images <- s.Image():
					default:
					}
				}
				tx := putObject(int(index%100_000), source)
				start := time.Now()
				if _, err := log.Write(tx.GetOperations()[0].GetValue()); err != nil {
					b.Fatal(err)
				}
				if err := log.Sync(); err != nil {
					b.Fatal(err)
				}
				index++
				s.Apply(index, &storev1.Command{Transactions: []*storev1.Transaction{tx}})
				took = append(took, time.Since(start))
			}
			close(end)
			b.ReportMetric(float64(<-ended), "snapshots")
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
		})
	}
}

func persistAll(b *testing.B, store *snapshots, images <-chan *state.Image, end <-chan struct{}) (written int) {
	for {
		select {
		case i := <-images:
			if err := (image{i}).Persist(begin(b, store, written+1)); err != nil {
				b.Error(err)
			}
			written++
		case <-end:
			return written
		}
	}
}
