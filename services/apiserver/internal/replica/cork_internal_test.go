package replica

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/pki"
)

// counting counts the writes to a connection, and fails them on demand.
type counting struct {
	net.Conn
	mu     sync.Mutex
	writes int
	fail   error
}

func (c *counting) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.writes++
	fail := c.fail
	c.mu.Unlock()
	if fail != nil {
		return 0, fail
	}
	return c.Conn.Write(p)
}

func (c *counting) set(fail error) (writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	writes = c.writes
	c.writes, c.fail = 0, fail
	return writes
}

// corkedPair returns both ends of a connection, and what lies below the first.
func corkedPair(t *testing.T) (near corked, far *tls.Conn, below *counting) {
	t.Helper()
	ca, err := pki.NewCA("c")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := ca.Issue(pki.ServerIdentity("m1"), []string{"m1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := pki.NewKeyPair(cert, key, ca.CertificatePEM())
	if err != nil {
		t.Fatal(err)
	}
	config := pair.PeerTLS(pki.IsServer)
	config.ServerName = "m1"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	below = &counting{Conn: dialed}
	cork := &cork{Conn: below}
	near = corked{tls.Client(cork, config), cork}
	far = tls.Server(accepted, config)
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	var greeting sync.WaitGroup
	greeting.Go(func() {
		if err := far.Handshake(); err != nil {
			t.Error(err)
		}
	})
	if err := near.Handshake(); err != nil {
		t.Fatal(err)
	}
	greeting.Wait()
	return near, far, below
}

// However large a write is, it is one for the kernel, and arrives whole.
func TestCorkedWritesAtOnce(t *testing.T) {
	near, far, below := corkedPair(t)
	below.set(nil)
	for _, size := range []int{1, recordLeast, recordLeast + 1, 16 << 10, 100 << 10, 1 << 20, 3} {
		sent := bytes.Repeat([]byte{byte(size), 1, 2}, size/3+1)[:size]
		var receiving sync.WaitGroup
		received := make([]byte, size)
		receiving.Go(func() {
			if _, err := io.ReadFull(far, received); err != nil {
				t.Error(err)
			}
		})
		if n, err := near.Write(sent); n != size || err != nil {
			t.Fatalf("%d of %d bytes were written: %v", n, size, err)
		}
		receiving.Wait()
		if !bytes.Equal(sent, received) {
			t.Errorf("%d bytes did not arrive as they were sent", size)
		}
		if writes := below.set(nil); writes != 1 {
			t.Errorf("%d bytes were written to the kernel %d times", size, writes)
		}
	}
}

func TestCorkedTellsWhatFails(t *testing.T) {
	near, _, below := corkedPair(t)
	broken := errors.New("broken")
	below.set(broken)
	if _, err := near.Write(make([]byte, 100<<10)); !errors.Is(err, broken) {
		t.Errorf("write: %v", err)
	}
}
