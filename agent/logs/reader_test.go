package logs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/agent/logs"
	"github.com/musterhq/muster/agent/logs/writer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const sample = `2026-01-01T10:00:00.000000001Z stdout F one
2026-01-01T10:00:01.000000001Z stderr P tw
2026-01-01T10:00:01.000000002Z stderr F o
2026-01-01T10:00:02.000000001Z stdout F 
torn
2026-01-01T10:00:03.000000001Z stdout F four words in a line
`

func TestRead(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	since := time.Date(2026, 1, 1, 10, 0, 2, 0, time.UTC)
	tests := map[string]struct {
		opts logs.Options
		want string
	}{
		"all":        {logs.Options{}, "one\ntwo\n\nfour words in a line\n"},
		"tail":       {logs.Options{Tail: n(2)}, "\nfour words in a line\n"},
		"tail parts": {logs.Options{Tail: n(3)}, "two\n\nfour words in a line\n"},
		"tail none":  {logs.Options{Tail: n(0)}, ""},
		"tail more":  {logs.Options{Tail: n(99)}, "one\ntwo\n\nfour words in a line\n"},
		"since":      {logs.Options{Since: since}, "\nfour words in a line\n"},
		"limit":      {logs.Options{LimitBytes: n(6)}, "one\ntw"},
		"timestamps": {logs.Options{Timestamps: true, Tail: n(3)},
			"2026-01-01T10:00:01.000000001Z two\n2026-01-01T10:00:02.000000001Z \n2026-01-01T10:00:03.000000001Z four words in a line\n"},
	}
	path := filepath.Join(t.TempDir(), "0.log")
	write(t, path, sample)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := logs.Read(t.Context(), path, tc.opts, nil, &out); err != nil {
				t.Fatal(err)
			}
			if out.String() != tc.want {
				t.Errorf("got %q, want %q", out.String(), tc.want)
			}
		})
	}
	// A container that ended within a line.
	write(t, path, sample+"2026-01-01T10:00:04.000000001Z stdout P DONE\n")
	for tail, want := range map[int64]string{1: "DONE", 2: "four words in a line\nDONE", 0: ""} {
		var out bytes.Buffer
		if err := logs.Read(t.Context(), path, logs.Options{Tail: n(tail)}, nil, &out); err != nil || out.String() != want {
			t.Errorf("tail %d of an open line: %q (%v), want %q", tail, out.String(), err, want)
		}
	}
	err := logs.Read(t.Context(), path+"x", logs.Options{}, nil, io.Discard)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("log that is not there: %v", err)
	}
}

func TestInstance(t *testing.T) {
	dir := t.TempDir()
	if _, err := logs.Instance(dir, false); !errors.Is(err, logs.ErrNoLog) {
		t.Errorf("no log: %v", err)
	}
	for _, name := range []string{"9.log", "10.log", "10.log.1", "x.log"} {
		write(t, filepath.Join(dir, name), "")
	}
	for previous, want := range map[bool]string{false: "10.log", true: "9.log"} {
		if got, err := logs.Instance(dir, previous); err != nil || filepath.Base(got) != want {
			t.Errorf("previous=%t: %s, %v", previous, got, err)
		}
	}
}

// TestFollowAcrossRotation writes far more than one file holds while a reader
// follows, and expects every line once and in order.
func TestFollowAcrossRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	pr, pw := io.Pipe()
	ready := make(chan struct{})
	var group sync.WaitGroup
	var ended atomic.Bool
	group.Go(func() {
		defer ended.Store(true)
		cfg := writer.Config{Path: path, MaxBytes: 8 << 10, MaxFiles: 50}
		if err := writer.Run(context.Background(), cfg, pr, strings.NewReader(""), func() error { close(ready); return nil }); err != nil {
			t.Error(err)
		}
	})
	<-ready
	const lines = 4000
	group.Go(func() {
		for i := range lines {
			fmt.Fprintf(pw, "line %d\n", i)
			if i%500 == 0 {
				<-time.After(30 * time.Millisecond)
			}
		}
		pw.Close()
	})
	var out bytes.Buffer
	if err := logs.Read(t.Context(), path, logs.Options{Follow: true}, ended.Load, &out); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(got) != lines {
		t.Fatalf("%d lines, want %d", len(got), lines)
	}
	for i, line := range got {
		if line != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("no rotation happened: %v, %v", files, err)
	}
}

func TestFollowEndsWithItsReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	write(t, path, sample)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := logs.Read(ctx, path, logs.Options{Follow: true}, func() bool { return false }, io.Discard)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}

func TestWriterRotatesAndCuts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	long := strings.Repeat("x", 40<<10)
	cfg := writer.Config{Path: path, MaxBytes: 64 << 10, MaxFiles: 3}
	in := strings.NewReader(strings.Repeat(long+"\n", 20) + "no end")
	if err := writer.Run(t.Context(), cfg, in, strings.NewReader("to stderr\n"), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v; want 3", files, err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > 64<<10 {
			t.Errorf("%s has %d bytes", f, st.Size())
		}
	}
	var out bytes.Buffer
	if err := logs.Read(t.Context(), path, logs.Options{}, nil, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\n"+long+"\n") || !strings.HasSuffix(out.String(), "no end") {
		t.Errorf("long lines or the last one are broken (%d bytes)", out.Len())
	}
}
