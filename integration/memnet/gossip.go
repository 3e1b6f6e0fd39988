package memnet

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// packets is how many a host's buffer holds; more are lost, as UDP loses them.
// (memberlist's own mock network blocks there.)
const packets = 256

// Gossip returns memberlist's transport for a host, which is an IP address.
func (n *Network) Gossip(host string, port int) (memberlist.NodeAwareTransport, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := n.Listen(address)
	if err != nil {
		return nil, err
	}
	g := &gossip{net: n, host: host, port: port, listener: l,
		packets: make(chan *memberlist.Packet, packets), streams: make(chan net.Conn)}
	n.mu.Lock()
	n.gossips[address] = g
	n.mu.Unlock()
	g.accepting.Go(g.accept)
	return g, nil
}

type gossip struct {
	net       *Network
	host      string
	port      int
	listener  net.Listener
	packets   chan *memberlist.Packet
	streams   chan net.Conn
	accepting sync.WaitGroup
}

func (g *gossip) accept() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		select {
		case g.streams <- c:
		case <-time.After(time.Second):
			_ = c.Close()
		}
	}
}

func (g *gossip) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	ip := net.ParseIP(g.host)
	if ip == nil {
		return nil, 0, fmt.Errorf("gossip host %q is no IP address", g.host)
	}
	return ip, g.port, nil
}

func (g *gossip) WriteTo(b []byte, to string) (time.Time, error) {
	now := time.Now()
	target, _, err := net.SplitHostPort(to)
	if err != nil {
		return now, err
	}
	g.net.mu.Lock()
	peer := g.net.gossips[to]
	lost := g.net.lost(g.host, target) || g.net.down[g.host] || g.net.down[target]
	g.net.mu.Unlock()
	if peer == nil || lost {
		return now, nil
	}
	packet := &memberlist.Packet{Buf: slices.Clone(b), From: addr(net.JoinHostPort(g.host, strconv.Itoa(g.port))), Timestamp: now}
	select {
	case peer.packets <- packet:
	default: // its buffer is full
	}
	return now, nil
}

func (g *gossip) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return g.WriteTo(b, a.Addr)
}

func (g *gossip) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return g.net.DialFrom(ctx, g.host, to)
}

func (g *gossip) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return g.DialTimeout(a.Addr, timeout)
}

func (g *gossip) PacketCh() <-chan *memberlist.Packet { return g.packets }
func (g *gossip) StreamCh() <-chan net.Conn           { return g.streams }

func (g *gossip) Shutdown() error {
	g.net.mu.Lock()
	delete(g.net.gossips, net.JoinHostPort(g.host, strconv.Itoa(g.port)))
	g.net.mu.Unlock()
	err := g.listener.Close()
	g.accepting.Wait()
	return err
}
