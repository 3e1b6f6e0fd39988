// Package memnet is a network in memory: hosts, stream connections between
// them, and cables that can be pulled. It has no goroutine and no system call of
// its own, so it works in testing/synctest bubbles, and it loses what a real
// network loses: while a host is cut off, what is written to it vanishes and
// nothing tells the writer; connections that lived through a cut are dead.
package memnet

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// Network connects hosts. The zero value is not usable; see New.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener // by host:port
	cut       map[string]bool      // by host: its cable is pulled
	down      map[string]bool      // by host: its process was killed
	conns     map[*conn]struct{}
	gossips   map[string]*gossip // by host:port
}

// New returns a network without hosts.
func New() *Network {
	return &Network{
		listeners: map[string]*listener{},
		cut:       map[string]bool{},
		down:      map[string]bool{},
		conns:     map[*conn]struct{}{},
		gossips:   map[string]*gossip{},
	}
}

// Listen opens host:port for connections.
func (n *Network) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, taken := n.listeners[address]; taken {
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: addr(address), Err: syscall.EADDRINUSE}
	}
	l := &listener{net: n, address: address, backlog: make(chan net.Conn, 128), done: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

// DialFrom connects host to address. A host that is cut off, at either end,
// makes the call wait until ctx ends, as a lost SYN does; an address nobody
// listens on is refused at once.
func (n *Network) DialFrom(ctx context.Context, host, address string) (net.Conn, error) {
	target, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	n.mu.Lock()
	down, lost, l := n.down[host], n.lost(host, target), n.listeners[address]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "mem", Addr: addr(address), Err: syscall.ECONNREFUSED}
	if down {
		refused.Err = syscall.ENETDOWN
		return nil, refused
	}
	if lost {
		<-ctx.Done()
		refused.Err = ctx.Err()
		return nil, refused
	}
	if l == nil {
		return nil, refused
	}
	near, far := n.pair(host, target, address)
	select {
	case l.backlog <- far:
		return near, nil
	case <-l.done:
	case <-ctx.Done():
		refused.Err = ctx.Err()
	}
	_ = near.Close()
	_ = far.Close()
	return nil, refused
}

// Dialer returns a dial function for a host.
func (n *Network) Dialer(host string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		return n.DialFrom(ctx, host, address)
	}
}

// lost says whether what one host sends to the other vanishes. The lock is held.
func (n *Network) lost(from, to string) bool { return from != to && (n.cut[from] || n.cut[to]) }

// Cut pulls the host's cable. It still reaches itself.
func (n *Network) Cut(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[host] = true
	for c := range n.conns {
		if n.lost(c.local, c.remote) {
			c.dead.Store(true)
		}
	}
}

// Heal plugs it in again. Connections from before stay dead.
func (n *Network) Heal(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, host)
}

// Crash takes the network from a host's process, as kill -9 does: its ports are
// closed, its connections reset, and nothing that it still does is heard of. Its
// machine stays up: who dials it is refused, unless its cable is pulled too.
func (n *Network) Crash(host string) {
	n.mu.Lock()
	n.down[host] = true
	var ls []*listener
	var cs []*conn
	for a, l := range n.listeners {
		if h, _, _ := net.SplitHostPort(a); h == host {
			ls = append(ls, l)
		}
	}
	for c := range n.conns {
		if c.local == host {
			cs = append(cs, c)
		}
	}
	n.mu.Unlock()
	for _, l := range ls {
		_ = l.Close()
	}
	for _, c := range cs {
		c.reset()
	}
}

// Boot lets the host's next process have the network.
func (n *Network) Boot(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.down, host)
}

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }
