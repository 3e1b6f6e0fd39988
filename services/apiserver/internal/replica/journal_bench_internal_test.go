package replica

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"
)

// BenchmarkStoreLogs appends entries to the log on disk.
func BenchmarkStoreLogs(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 512 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			s, err := openStorage(Config{Dir: b.TempDir(), ID: "m0", ClusterID: "c", Logger: slog.New(slog.DiscardHandler)}, func(err error) { b.Error(err) })
			if err != nil {
				b.Fatal(err)
			}
			defer s.close()
			data := make([]byte, size)
			index := uint64(0)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				index++
				if err := s.logs.StoreLogs([]*raft.Log{{Index: index, Term: 1, Type: raft.LogCommand, Data: data}}); err != nil {
					b.Fatal(err)
				}
				if index%64 == 0 {
					if err := s.logs.DeleteRange(max(index, 128)-127, index-64); err != nil && index > 64 {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
