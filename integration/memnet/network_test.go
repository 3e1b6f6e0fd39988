package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/integration/memnet"
)

// connect returns both ends of a connection from a to b:1.
func connect(t *testing.T, n *memnet.Network) (near, far net.Conn) {
	t.Helper()
	l, err := n.Listen("b:1")
	if err != nil {
		t.Fatal(err)
	}
	near, err = n.DialFrom(t.Context(), "a", "b:1")
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

func TestBytesArriveInOrderAndEndWithEOF(t *testing.T) {
	near, far := connect(t, memnet.New())
	go func() {
		_, _ = near.Write(make([]byte, 3<<20)) // more than the window
		_, _ = near.Write([]byte("end"))
		_ = near.Close()
	}()
	got, err := io.ReadAll(far)
	if err != nil || len(got) != 3<<20+3 || string(got[3<<20:]) != "end" {
		t.Fatalf("read %d bytes, %v", len(got), err)
	}
	if _, err := far.Write([]byte("x")); err == nil {
		t.Fatal("a write to a closed peer succeeded")
	}
}

func TestDialRefusedWhereNobodyListens(t *testing.T) {
	if _, err := memnet.New().DialFrom(t.Context(), "a", "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("got %v", err)
	}
}

func TestCutLosesBytesSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		near, far := connect(t, n)
		n.Cut("b")
		if _, err := near.Write([]byte("lost")); err != nil {
			t.Fatalf("a write into a cut cable told the writer: %v", err)
		}
		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := n.DialFrom(ctx, "a", "b:1"); err == nil || time.Since(start) != time.Second {
			t.Fatalf("dial of a cut host: %v after %v", err, time.Since(start))
		}
		n.Heal("b")
		if _, err := n.DialFrom(t.Context(), "a", "b:1"); err != nil {
			t.Fatalf("dial after healing: %v", err)
		}
		_, _ = near.Write([]byte("still lost"))
		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a connection from before the cut came back to life: %v", err)
		}
	})
}

func TestDeadlineWakesABlockedReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := connect(t, memnet.New())
		done := make(chan error, 1)
		go func() {
			_, err := near.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		_ = near.SetReadDeadline(time.Now().Add(5 * time.Second))
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestCrashResetsConnections(t *testing.T) {
	n := memnet.New()
	near, _ := connect(t, n)
	n.Crash("b")
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Fatal("read from a crashed host succeeded")
	}
	if _, err := n.DialFrom(t.Context(), "a", "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial: %v", err)
	}
}
