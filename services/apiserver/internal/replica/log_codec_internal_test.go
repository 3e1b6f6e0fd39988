package replica

import (
	"bytes"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// What is written is what raft-wal's own codec writes, of any size, however many
// entries are appended at once and however often.
func TestLogCodecIsTheLogs(t *testing.T) {
	codec := &logCodec{}
	for round, sizes := range [][]int{{10}, {1 << 10, 0, 5}, {encodedKept, 1}, {3 << 20}, {7, 64 << 10, 7}} {
		var written []*bytes.Buffer
		var logs []*raft.Log
		for i, size := range sizes {
			log := &raft.Log{
				Index: uint64(round<<40 + i), Term: 1 << 50, Type: raft.LogCommand, AppendedAt: time.Now(),
				Data: bytes.Repeat([]byte{byte(round), byte(i)}, size/2), Extensions: []byte{1, 2, 3, 4},
			}
			buffer := new(bytes.Buffer)
			if err := codec.Encode(log, buffer); err != nil {
				t.Fatal(err)
			}
			written, logs = append(written, buffer), append(logs, log)
		}
		for i, log := range logs {
			var want bytes.Buffer
			if err := (&wal.BinaryCodec{}).Encode(log, &want); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(written[i].Bytes(), want.Bytes()) {
				t.Errorf("round %d: entry %d of %d bytes is not what it should be", round, i, len(log.Data))
			}
		}
		codec.reuse()
		if len(codec.memory) > encodedKept {
			t.Errorf("round %d: %d bytes are kept", round, len(codec.memory))
		}
	}
}
