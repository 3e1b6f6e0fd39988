package writer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	defaultMaxBytes = 10 << 20
	defaultMaxFiles = 5
	// maxLine is where a line is cut into parts, as CRI runtimes do.
	maxLine = 16 << 10
)

// file is one log with its rotated predecessors path.1 (the youngest), path.2, …
type file struct {
	cfg  Config
	mu   sync.Mutex
	f    *os.File
	size int64
}

func openFile(cfg Config) (*file, error) {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.MaxFiles == 0 {
		cfg.MaxFiles = defaultMaxFiles
	}
	l := &file{cfg: cfg}
	return l, l.open()
}

func (l *file) open() error {
	f, err := os.OpenFile(l.cfg.Path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open container log: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open container log: %w", err), f.Close())
	}
	l.f, l.size = f, st.Size()
	return nil
}

// Close ends the log.
func (l *file) Close() error { return l.f.Close() }

func (l *file) copy(r io.Reader, stream string) error {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			// A last line without its end stays without it, as in containerd's CRI.
			tag := "P"
			if line[len(line)-1] == '\n' {
				tag, line = "F", line[:len(line)-1]
			}
			if err := l.write(stream, tag, line); err != nil {
				return err
			}
		}
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrClosed):
			return nil
		default:
			return fmt.Errorf("read container's %s: %w", stream, err)
		}
	}
}

func (l *file) write(stream, tag string, line []byte) error {
	buf := make([]byte, 0, len(line)+64)
	buf = time.Now().AppendFormat(buf, time.RFC3339Nano)
	buf = append(buf, ' ')
	buf = append(buf, stream...)
	buf = append(buf, ' ')
	buf = append(buf, tag...)
	buf = append(buf, ' ')
	buf = append(buf, line...)
	buf = append(buf, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(buf)) > l.cfg.MaxBytes {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	n, err := l.f.Write(buf)
	l.size += int64(n)
	if err != nil {
		return fmt.Errorf("write container log: %w", err)
	}
	return nil
}

func (l *file) rotate() error {
	if err := l.f.Close(); err != nil {
		return fmt.Errorf("rotate container log: %w", err)
	}
	name := func(i int) string {
		if i == 0 {
			return l.cfg.Path
		}
		return fmt.Sprintf("%s.%d", l.cfg.Path, i)
	}
	for i := l.cfg.MaxFiles - 2; i >= 0; i-- {
		if err := os.Rename(name(i), name(i+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("rotate container log: %w", err)
		}
	}
	return l.open()
}
