package serve

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

// Who has a connection when the listener closes is served, who comes later is
// refused.
func TestBacklogIsEmptiedBeforeItCloses(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	lis := &backlog{TCPListener: tcp.(*net.TCPListener)}
	var clients []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		clients = append(clients, conn)
	}
	if err := lis.Close(); err != nil {
		t.Fatal(err)
	}
	for range clients {
		conn, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "x"); err != nil {
			t.Error(err)
		}
	}
	for _, conn := range clients {
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	}
	if _, err := lis.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the last: %v", err)
	}
	if _, err := net.Dial("tcp", lis.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
}
