package vitals_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster/internal/vitals"
)

func TestASignalWritesOneLine(t *testing.T) {
	out, in := io.Pipe()
	logger := slog.New(slog.NewTextHandler(in, nil))
	err := vitals.During(t.Context(), logger, func(context.Context) error {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGUSR1); err != nil {
			return err
		}
		line := make([]byte, 512)
		n, err := out.Read(line)
		for _, want := range []string{"goroutines=", "fds=", "heapBytes="} {
			if !strings.Contains(string(line[:n]), want) {
				t.Errorf("%q lacks %s", line[:n], want)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if v := vitals.Read(); v.Goroutines < 1 || v.FDs < 3 || v.HeapBytes == 0 {
		t.Errorf("measured %+v", v)
	}
}
