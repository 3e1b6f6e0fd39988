package replica

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal returns a log entry as it is stored: with its CRC-32C, little endian, in
// front of its extensions. The log itself has a checksum for its last batch
// only, which tells a torn write from a whole one but says nothing of what has
// become of older entries since.
func seal(log *raft.Log) *raft.Log {
	stored := *log
	stored.Extensions = make([]byte, crc32.Size, crc32.Size+len(log.Extensions))
	binary.LittleEndian.PutUint32(stored.Extensions, checksum(log))
	stored.Extensions = append(stored.Extensions, log.Extensions...)
	return &stored
}

// unseal turns a stored entry back into what it was, and checks it.
func unseal(log *raft.Log) error {
	if len(log.Extensions) < crc32.Size {
		return fmt.Errorf("%w: log entry has no checksum", ErrDamaged)
	}
	want := binary.LittleEndian.Uint32(log.Extensions)
	if log.Extensions = log.Extensions[crc32.Size:]; len(log.Extensions) == 0 {
		log.Extensions = nil
	}
	if checksum(log) != want {
		return fmt.Errorf("%w: log entry does not match its checksum", ErrDamaged)
	}
	return nil
}

// checksum covers all of an entry but the time at which it was appended, which
// nothing depends on.
func checksum(log *raft.Log) uint32 {
	var head [25]byte
	binary.LittleEndian.PutUint64(head[0:], log.Index)
	binary.LittleEndian.PutUint64(head[8:], log.Term)
	binary.LittleEndian.PutUint64(head[16:], uint64(len(log.Data)))
	head[24] = byte(log.Type)
	sum := crc32.Checksum(head[:], castagnoli)
	sum = crc32.Update(sum, castagnoli, log.Data)
	return crc32.Update(sum, castagnoli, log.Extensions)
}
