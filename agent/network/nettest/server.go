//go:build root

package nettest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// Serve answers in the namespace, on TCP and UDP, with the namespace's name and
// the client's address; what a TCP client sends after that comes back by line.
func (n *Namespace) Serve(t testing.TB, at netip.AddrPort) {
	t.Helper()
	var listener net.Listener
	var packets net.PacketConn
	n.Do(t, func() (err error) {
		if listener, err = net.Listen("tcp4", at.String()); err != nil {
			return err
		}
		packets, err = net.ListenPacket("udp4", at.String())
		return err
	})
	var serving sync.WaitGroup
	conns := &connections{open: map[net.Conn]bool{}}
	serving.Go(func() { n.serveTCP(listener, conns, &serving) })
	serving.Go(func() { n.serveUDP(packets) })
	t.Cleanup(func() {
		_ = listener.Close()
		_ = packets.Close()
		conns.closeAll()
		serving.Wait()
	})
}

type connections struct {
	mu   sync.Mutex
	open map[net.Conn]bool
}

func (c *connections) add(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn] = true
}

func (c *connections) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
	_ = conn.Close()
}

func (c *connections) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close()
	}
}

func (n *Namespace) serveTCP(listener net.Listener, conns *connections, serving *sync.WaitGroup) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		conns.add(conn)
		serving.Go(func() {
			defer conns.remove(conn)
			n.answer(conn)
		})
	}
}

func (n *Namespace) answer(conn net.Conn) {
	if _, err := fmt.Fprintf(conn, "%s %s\n", n.Name, conn.RemoteAddr()); err != nil {
		return
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if _, err := fmt.Fprintln(conn, lines.Text()); err != nil {
			return
		}
	}
}

func (n *Namespace) serveUDP(packets net.PacketConn) {
	buffer := make([]byte, 2048)
	for {
		_, from, err := packets.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = packets.WriteTo(fmt.Appendf(nil, "%s %s\n", n.Name, from), from)
		}
	}
}

// Answer is what a server said: its name, and the client's address as it saw it.
type Answer struct {
	Server string
	Client netip.AddrPort
}

// Ask makes one request from the namespace. UDP is sent a second and third time
// when no answer comes, as its clients do.
func (n *Namespace) Ask(network string, to netip.AddrPort, timeout time.Duration) (Answer, error) {
	conn, err := n.Dial(network, to, timeout)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = conn.Close() }()
	return Exchange(conn, timeout)
}

// Exchange makes one request on an open connection: the first of a TCP one.
func Exchange(conn net.Conn, timeout time.Duration) (Answer, error) {
	deadline := time.Now().Add(timeout)
	udp := strings.HasPrefix(conn.LocalAddr().Network(), "udp")
	buffer := make([]byte, 2048)
	for {
		read := deadline
		if udp {
			read = time.Now().Add(timeout / 3)
			if _, err := conn.Write([]byte("?\n")); err != nil {
				return Answer{}, err
			}
		}
		if err := conn.SetReadDeadline(read); err != nil {
			return Answer{}, err
		}
		length, err := conn.Read(buffer)
		var late net.Error
		if udp && errors.As(err, &late) && late.Timeout() && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			return Answer{}, err
		}
		name, client, _ := strings.Cut(strings.TrimSpace(string(buffer[:length])), " ")
		from, err := netip.ParseAddrPort(client)
		return Answer{Server: name, Client: from}, err
	}
}
