package virtual

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/integration/chaos"
)

// connected are both ends of a connection from host a to host b.
func connected(t *testing.T, l *links) (near, far net.Conn) {
	t.Helper()
	listener, err := l.net.Listen("b:1")
	if err != nil {
		t.Fatal(err)
	}
	if near, err = l.dialer("a")(t.Context(), "b:1"); err != nil {
		t.Fatal(err)
	}
	if far, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// took says how long a message takes from one end to the other.
func took(t *testing.T, from, to net.Conn, text string) time.Duration {
	t.Helper()
	start := time.Now()
	if _, err := from.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatal(string(got), err)
	}
	return time.Since(start)
}

func identity(host string) string { return host }

func TestBrokenDirections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLinks(identity)
		near, far := connected(t, l)
		if d := took(t, near, far, "whole"); d < soonest || d > latest {
			t.Errorf("whole: %v", d)
		}
		l.shape(map[chaos.Pair]chaos.Quality{{From: "a", To: "b"}: {Delay: time.Second}})
		if there, back := took(t, near, far, "slow"), took(t, far, near, "fast"); there < time.Second || back > latest {
			t.Errorf("one way slow: %v there, %v back", there, back)
		}
		l.shape(map[chaos.Pair]chaos.Quality{{From: "a", To: "b"}: {Lost: true}})
		time.AfterFunc(time.Minute, func() { l.shape(nil) })
		if back := took(t, far, near, "fast"); back > latest {
			t.Errorf("the whole direction took %v", back)
		}
		if there := took(t, near, far, "late"); there < time.Minute-latest || there > time.Minute+latest {
			t.Errorf("the broken direction took %v", there)
		}
		_ = near.Close()
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read after close: %v", err)
		}
		_ = far.Close()
		l.passing.Wait()
	})
}

func TestDialWaitsForBothDirections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLinks(identity)
		l.shape(map[chaos.Pair]chaos.Quality{{From: "b", To: "a"}: {Lost: true}})
		time.AfterFunc(time.Minute, func() { l.shape(nil) })
		start := time.Now()
		near, far := connected(t, l)
		if d := time.Since(start); d != time.Minute {
			t.Errorf("connected after %v", d)
		}
		_, _ = near.Close(), far.Close()
		l.passing.Wait()
	})
}
