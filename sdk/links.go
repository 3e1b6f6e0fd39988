package sdk

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// links knows the raw connections that gRPC opened, so that one to a silent
// server can be cut: gRPC itself would take ten seconds to notice.
type links struct {
	raw     func(ctx context.Context, address string) (net.Conn, error)
	publish func(order []string)
	moved   chan struct{} // sent to when another server is called than before

	mu     sync.Mutex
	order  []string // the server to prefer first
	open   []*link  // newest last
	called string   // the server that was called last
}

// link is one raw connection.
type link struct {
	net.Conn
	address string
	owner   *links
	heard   atomic.Int64 // reads that returned bytes
	once    sync.Once
}

func newLinks(addresses []string, dialer func(context.Context, string) (net.Conn, error), publish func([]string)) *links {
	if dialer == nil {
		d := &net.Dialer{Timeout: 2 * time.Second, Control: setUserTimeout}
		dialer = func(ctx context.Context, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		}
	}
	return &links{raw: dialer, publish: publish, moved: make(chan struct{}, 1), order: slices.Clone(addresses)}
}

func (l *links) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := l.raw(ctx, address)
	if err != nil {
		return nil, err
	}
	k := &link{Conn: conn, address: address, owner: l}
	l.mu.Lock()
	l.open = append(l.open, k)
	moved := l.called != "" && l.called != address
	l.called = address
	l.mu.Unlock()
	if moved {
		select {
		case l.moved <- struct{}{}:
		default:
		}
	}
	return k, nil
}

// Read counts what was heard, so that a busy connection needs no probe.
func (k *link) Read(b []byte) (int, error) {
	n, err := k.Conn.Read(b)
	if n > 0 {
		k.heard.Add(1)
	}
	return n, err
}

// Close forgets the connection as well.
func (k *link) Close() error {
	k.once.Do(func() {
		k.owner.mu.Lock()
		defer k.owner.mu.Unlock()
		k.owner.open = slices.DeleteFunc(k.owner.open, func(o *link) bool { return o == k })
	})
	return k.Conn.Close()
}

func (l *links) newest() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) == 0 {
		return nil
	}
	return l.open[len(l.open)-1]
}

func (l *links) current() string {
	if k := l.newest(); k != nil {
		return k.address
	}
	return ""
}

// count of servers known.
func (l *links) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.order)
}

// leave makes the server the last choice and cuts the connections to it.
func (l *links) leave(address string) {
	l.mu.Lock()
	var cut []*link
	for _, k := range l.open {
		if k.address == address {
			cut = append(cut, k)
		}
	}
	if i := slices.Index(l.order, address); i >= 0 {
		l.order = append(slices.Delete(l.order, i, i+1), address)
	}
	order := slices.Clone(l.order)
	l.mu.Unlock()
	l.publish(order)
	for _, k := range cut {
		k.Close()
	}
}
