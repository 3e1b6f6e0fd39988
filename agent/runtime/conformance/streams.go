package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/agent/runtime"
)

// text is a buffer that two goroutines may use.
type text struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *text) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.Write(b)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

func (s *suite) serving() runtime.Container {
	s.t.Helper()
	s.sandbox()
	c := s.start(s.config(0, "serve"))
	s.awaitReady()
	return c
}

func streamApart(t *testing.T, s *suite) {
	c := s.serving()
	var out, errs text
	code, err := s.Runtime.Stream(t.Context(), uid, c.ID, []string{"both", "hello", "oops", "7"}, runtime.Streams{Stdout: &out, Stderr: &errs})
	if code != 7 || err != nil || out.String() != "hello\n" || errs.String() != "oops\n" {
		t.Errorf("code %d, %v, output %q, errors %q", code, err, out.String(), errs.String())
	}
	if code, err := s.Runtime.Stream(t.Context(), uid, c.ID, []string{"both", "hello", "oops", "3"}, runtime.Streams{}); code != 3 || err != nil {
		t.Errorf("without streams: code %d, %v", code, err)
	}
	_, err = s.Runtime.Stream(t.Context(), uid, c.ID, []string{"no-such-program"}, runtime.Streams{Stdin: strings.NewReader("x"), Stdout: &out})
	if err == nil || !strings.Contains(err.Error(), `exec: "no-such-program": executable file not found in $PATH`) {
		t.Errorf("a missing program: %v", err)
	}
	if _, err := s.Runtime.Stream(t.Context(), uid, "nope", []string{"exit", "0"}, runtime.Streams{}); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("in a missing container: %v", err)
	}
	s.removeSandbox()
}

// streamInput sends more than any buffer holds and expects all of it back once
// the input has ended.
func streamInput(t *testing.T, s *suite) {
	c := s.serving()
	in := strings.Repeat("0123456789abcde\n", 64<<10)
	var out text
	code, err := s.Runtime.Stream(t.Context(), uid, c.ID, []string{"cat"}, runtime.Streams{Stdin: strings.NewReader(in), Stdout: &out})
	if code != 0 || err != nil || out.String() != in {
		t.Errorf("code %d, %v, %d of %d bytes came back", code, err, len(out.String()), len(in))
	}
	s.removeSandbox()
}

// slow takes its time with every piece.
type slow struct{ got int }

func (s *slow) Write(b []byte) (int, error) {
	<-time.After(15 * time.Millisecond)
	s.got += len(b)
	return len(b), nil
}

func streamSlowReader(t *testing.T, s *suite) {
	c := s.serving()
	out := &slow{}
	code, err := s.Runtime.Stream(t.Context(), uid, c.ID, []string{"pour", "1024"}, runtime.Streams{Stdout: out})
	if code != 0 || err != nil || out.got != 1<<20 {
		t.Errorf("code %d, %v, %d bytes", code, err, out.got)
	}
	s.removeSandbox()
}

func streamTerminal(t *testing.T, s *suite) {
	c := s.serving()
	pr, pw := io.Pipe()
	defer pw.Close()
	resize := make(chan runtime.Size, 1)
	resize <- runtime.Size{Width: 91, Height: 17}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	var out text
	go func() {
		_, err := s.Runtime.Stream(ctx, uid, c.ID, []string{"size"}, runtime.Streams{Stdin: pr, Stdout: &out, TTY: true, Resize: resize})
		done <- err
	}()
	ask := func(want string) {
		for range 200 {
			if _, err := io.WriteString(pw, "?\n"); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), want) {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
		t.Fatalf("no %q in %q", want, out.String())
	}
	ask("17 91")
	resize <- runtime.Size{Width: 40, Height: 5}
	ask("5 40")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	s.removeSandbox()
}

// streamGone leaves a command behind that does not read its input.
func streamGone(t *testing.T, s *suite) {
	c := s.serving()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	pr, pw := io.Pipe()
	defer pw.Close()
	begin := time.Now()
	_, err := s.Runtime.Stream(ctx, uid, c.ID, []string{"sleep", "60"}, runtime.Streams{Stdin: pr, Stdout: io.Discard})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	if got := s.container(c.ID); got.State != runtime.Running {
		t.Errorf("the container is %+v", got)
	}
	s.removeSandbox()
}

func dialRefused(t *testing.T, s *suite) {
	if _, err := s.Runtime.Dial(t.Context(), uid, 80); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("a missing pod: %v", err)
	}
	s.sandbox()
	if _, err := s.Runtime.Dial(t.Context(), uid, 80); !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "connect: connection refused") {
		t.Errorf("nobody listens: %v", err)
	}
	s.removeSandbox()
}

// attachOnce gives a program all its input and then the end of it.
func attachOnce(t *testing.T, s *suite) {
	s.sandbox()
	cfg := s.config(0, "cat")
	cfg.Stdin, cfg.StdinOnce = true, true
	c := s.start(cfg)
	in := strings.Repeat("0123456789abcde\n", 16<<10)
	var out text
	if err := s.Runtime.Attach(t.Context(), uid, c.ID, runtime.Streams{Stdin: strings.NewReader(in), Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if out.String() != in {
		t.Errorf("%d of %d bytes came back", len(out.String()), len(in))
	}
	if got := s.exited(c.ID); got.ExitCode != 0 {
		t.Errorf("exit code %d", got.ExitCode)
	}
	if err := s.Runtime.Attach(t.Context(), uid, c.ID, runtime.Streams{Stdout: &out}); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("to an exited container: %v", err)
	}
	s.removeSandbox()
}

// attachAgain comes back to a program whose input goes on.
func attachAgain(t *testing.T, s *suite) {
	s.sandbox()
	cfg := s.config(0, "size")
	cfg.Stdin, cfg.TTY = true, true
	c := s.start(cfg)
	for _, size := range []runtime.Size{{Width: 91, Height: 17}, {Width: 40, Height: 5}} {
		want := fmt.Sprintf("%d %d", size.Height, size.Width)
		pr, pw := io.Pipe()
		resize := make(chan runtime.Size, 1)
		resize <- size
		done := make(chan error, 1)
		var out text
		go func() {
			err := s.Runtime.Attach(t.Context(), uid, c.ID, runtime.Streams{Stdin: pr, Stdout: &out, TTY: true, Resize: resize})
			_ = pr.CloseWithError(err)
			done <- err
		}()
		for try := 0; !strings.Contains(out.String(), want); try++ {
			if _, err := io.WriteString(pw, "?\n"); err != nil || try == 200 {
				t.Fatalf("no %q in %q, %v", want, out.String(), err)
			}
			<-time.After(50 * time.Millisecond)
		}
		pw.Close()
		if err := <-done; err != nil {
			t.Errorf("detached with %v", err)
		}
	}
	if got := s.container(c.ID); got.State != runtime.Running {
		t.Errorf("the container is %+v", got)
	}
	s.removeSandbox()
}

// attachOutput watches a program that has no input, until who watches goes.
func attachOutput(t *testing.T, s *suite) {
	c := s.serving()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Runtime.Attach(ctx, uid, c.ID, runtime.Streams{Stdin: strings.NewReader(""), Stdout: io.Discard}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
	if got := s.container(c.ID); got.State != runtime.Running {
		t.Errorf("the container is %+v", got)
	}
	s.removeSandbox()
}
