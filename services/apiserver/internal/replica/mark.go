package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
)

// mark is a file with the index of the last entry that was made safe. It is
// written after the entry and not synced: it survives the process, which is
// enough to tell a damaged end from an interrupted write in all cases but a loss
// of power. It is empty until the log was made.
type mark struct {
	mu   sync.Mutex
	file *os.File
}

func openMark(path string) (m *mark, index uint64, begun bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, false, fmt.Errorf("open log mark: %w", err)
	}
	var b [12]byte
	switch _, err := io.ReadFull(file, b[:]); {
	case errors.Is(err, io.EOF):
		return &mark{file: file}, 0, false, nil
	case err == nil && binary.LittleEndian.Uint32(b[8:]) == crc32.Checksum(b[:8], castagnoli):
		return &mark{file: file}, binary.LittleEndian.Uint64(b[:]), true, nil
	default:
		_ = file.Close()
		return nil, 0, false, fmt.Errorf("%w: %s does not match its checksum", ErrDamaged, path)
	}
}

func (m *mark) set(index uint64, safe bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], index)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[:8], castagnoli))
	if _, err := m.file.WriteAt(b[:], 0); err != nil {
		return fmt.Errorf("write log mark: %w", err)
	}
	if safe {
		return m.file.Sync()
	}
	return nil
}

func (m *mark) close() error { return m.file.Close() }
