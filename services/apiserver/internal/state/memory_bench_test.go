package state_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

var million = flag.Bool("million", false, "measure with 1,000,000 objects too")

func counts() []int {
	if *million {
		return []int{10_000, 100_000, 1_000_000}
	}
	return []int{10_000, 100_000}
}

// noiseSize is what an object of 1 KiB takes with its metadata, in bytes: 1,120 as
// in docs/store-benchmark.md.
const noiseSize = 1120

// noisy puts object i with a value that does not compress.
func noisy(i int, source *rand.ChaCha8) *storev1.Transaction {
	value := make([]byte, noiseSize)
	_, _ = source.Read(value) // never fails
	return transaction(put(key("configmaps", fmt.Sprint("ns-", i%100), fmt.Sprintf("object-%07d", i)), string(value)))
}

// grown is a store of so many objects, brought by commands as the log brings
// them; applied is what Apply took, for all.
func grown(b *testing.B, count int, object func(i int) *storev1.Transaction) (s *state.Store, applied time.Duration) {
	b.Helper()
	const batch = 100
	s = state.New()
	for from := 0; from < count; from += batch {
		c := &storev1.Command{}
		for i := from; i < from+batch; i++ {
			c.Transactions = append(c.Transactions, object(i))
		}
		c = logged(b, c)
		begin := time.Now()
		s.Apply(uint64(from/batch+1), c)
		applied += time.Since(begin)
	}
	return s, applied
}

// logged returns a command as it is read from the log.
func logged(b *testing.B, c *storev1.Command) *storev1.Command {
	b.Helper()
	data, err := proto.Marshal(c)
	if err != nil {
		b.Fatal(err)
	}
	read := &storev1.Command{}
	if err := proto.Unmarshal(data, read); err != nil {
		b.Fatal(err)
	}
	return read
}

// live returns the bytes of all that is reachable.
func live() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// BenchmarkMemory tells what an object takes in memory, with its value of 1 KiB
// of noise or of 2 KiB of words that others have too, its share of the trees and
// of the window of events.
func BenchmarkMemory(b *testing.B) {
	source := rand.NewChaCha8([32]byte{1})
	for _, kind := range []struct {
		name   string
		object func(i int) *storev1.Transaction
	}{
		{"noise", func(i int) *storev1.Transaction { return noisy(i, source) }},
		{"wordy", func(i int) *storev1.Transaction { return putWordy(i, i) }},
	} {
		for _, count := range counts() {
			b.Run(fmt.Sprintf("%s/objects=%d", kind.name, count), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					before := live()
					s, applied := grown(b, count, kind.object)
					b.ReportMetric(float64(live()-before)/float64(count), "B/object")
					b.ReportMetric(float64(applied)/float64(count), "ns/object")
					runtime.KeepAlive(s)
				}
			})
		}
	}
}

// BenchmarkPut replaces one of many objects by each command, in no order.
func BenchmarkPut(b *testing.B) {
	for _, count := range counts() {
		source := rand.NewChaCha8([32]byte{1})
		s, _ := grown(b, count, func(i int) *storev1.Transaction { return noisy(i, source) })
		var commands []*storev1.Command
		for range 1000 {
			commands = append(commands, command(noisy(int(source.Uint64()%uint64(count)), source)))
		}
		b.Run(fmt.Sprintf("objects=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Apply(s.View().Index()+1, commands[i%len(commands)])
			}
		})
	}
}

// BenchmarkCommand applies commands of 64 puts on 10,000 objects, as they come
// from the log.
func BenchmarkCommand(b *testing.B) {
	const objects, puts = 10_000, 64
	source := rand.NewChaCha8([32]byte{1})
	put := func(i int) *storev1.Transaction {
		tx := noisy(i, source)
		tx.Id = make([]byte, 16)
		_, _ = source.Read(tx.Id) // never fails
		return tx
	}
	s, _ := grown(b, objects, put)
	texts := make([][]byte, 1000)
	for i := range texts {
		c := &storev1.Command{}
		for range puts {
			c.Transactions = append(c.Transactions, put(int(source.Uint64()%objects)))
		}
		var err error
		if texts[i], err = proto.Marshal(c); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	n := 0
	for ; b.Loop(); n++ {
		c := storev1.CommandFromVTPool()
		if err := c.UnmarshalVTUnsafe(texts[n%len(texts)]); err != nil {
			b.Fatal(err)
		}
		for _, tx := range c.GetTransactions() { // one that was applied would not be again
			_, _ = source.Read(tx.GetId())
		}
		s.Apply(s.View().Index()+1, c)
		c.ReturnToVTPool()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*puts), "ns/put")
}

// BenchmarkOutcomes tells what it takes to remember the outcome of a transaction,
// and how many objects that makes for the garbage collector.
func BenchmarkOutcomes(b *testing.B) {
	for b.Loop() {
		s := state.New()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for n := range state.OutcomesKept {
			tx := transaction(&storev1.Operation{Key: key("pods", "a", "1"), Precondition: storev1.Precondition_PRECONDITION_ABSENT})
			tx.Id = fmt.Appendf(nil, "%016d", n)
			s.Apply(uint64(n+1), command(tx))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/state.OutcomesKept, "B/outcome")
		b.ReportMetric(float64(after.HeapObjects-before.HeapObjects)/state.OutcomesKept, "objects/outcome")
		runtime.KeepAlive(s)
	}
}

// BenchmarkRead gets one of many objects, and lists a namespace of a hundredth.
func BenchmarkRead(b *testing.B) {
	for _, count := range counts() {
		source := rand.NewChaCha8([32]byte{1})
		s, _ := grown(b, count, func(i int) *storev1.Transaction { return noisy(i, source) })
		var keys []state.Key
		for range 1000 {
			i := int(source.Uint64() % uint64(count))
			keys = append(keys, state.Key{Resource: "configmaps", Namespace: fmt.Sprint("ns-", i%100), Name: fmt.Sprintf("object-%07d", i)})
		}
		b.Run(fmt.Sprintf("get/objects=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, ok := s.View().Get(keys[i%len(keys)]); !ok {
					b.Fatal("not there")
				}
			}
		})
		b.Run(fmt.Sprintf("list/objects=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for range s.View().List("configmaps", "ns-7") {
					n++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/object")
		})
	}
}

// BenchmarkRestore reads many objects from a snapshot.
func BenchmarkRestore(b *testing.B) {
	for _, count := range counts() {
		source := rand.NewChaCha8([32]byte{1})
		s, _ := grown(b, count, func(i int) *storev1.Transaction { return noisy(i, source) })
		var snapshot bytes.Buffer
		if err := s.Snapshot(&snapshot); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("objects=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for ; b.Loop(); n++ {
				if err := state.New().Restore(bytes.NewReader(snapshot.Bytes())); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*count), "ns/object")
		})
	}
}

// BenchmarkViewAt makes views of the past.
func BenchmarkViewAt(b *testing.B) {
	source := rand.NewChaCha8([32]byte{1})
	s, _ := grown(b, 100_000, func(i int) *storev1.Transaction { return noisy(i, source) })
	for _, behind := range []uint64{1, 100, 10_000} {
		b.Run(fmt.Sprintf("behind=%d", behind), func(b *testing.B) {
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ { // each another one than the last ones
				if _, err := s.ViewAt(s.View().Revision() - behind - i%8); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
