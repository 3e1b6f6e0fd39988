package containerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	goruntime "runtime"
	"strconv"

	"github.com/vishvananda/netns"
)

// Dial implements runtime.Runtime. The errors are containerd's own words, which
// kubectl port-forward shows.
func (r *Runtime) Dial(ctx context.Context, podUID string, port uint16) (net.Conn, error) {
	if err := checkUID(podUID); err != nil {
		return nil, err
	}
	rec, err := r.readRecord(podUID)
	if err != nil {
		return nil, err
	}
	if rec.HostNetwork {
		return dialLocalhost(ctx, "", port)
	}
	path := r.nsPath(podUID, "net")
	conn, err := dialIn(ctx, path, port)
	if err != nil {
		return nil, fmt.Errorf("failed to execute portforward in network namespace %q: %w", path, err)
	}
	return conn, nil
}

// dialIn connects on a thread that is in the namespace, where a socket stays for
// ever. The thread ends with its goroutine, and with it its namespace.
func dialIn(ctx context.Context, path string, port uint16) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		goruntime.LockOSThread()
		conn, err := func() (net.Conn, error) {
			ns, err := netns.GetFromPath(path)
			if err != nil {
				return nil, err
			}
			defer func() { _ = ns.Close() }()
			if err := netns.Set(ns); err != nil {
				return nil, err
			}
			return dialLocalhost(ctx, path, port)
		}()
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// dialLocalhost tries IPv4 first. One address at a time, the dialer makes its
// socket on the thread of the caller.
func dialLocalhost(ctx context.Context, namespace string, port uint16) (net.Conn, error) {
	var d net.Dialer
	p := strconv.Itoa(int(port))
	conn, err4 := d.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", p))
	if err4 == nil {
		return conn, nil
	}
	conn, err6 := d.DialContext(ctx, "tcp6", net.JoinHostPort("::1", p))
	if err6 == nil {
		return conn, nil
	}
	return nil, refused{fmt.Sprintf("failed to connect to localhost:%s inside namespace %q, IPv4: %v IPv6 %v", p, namespace, err4, err6), errors.Join(err4, err6)}
}

// refused words two errors as one.
type refused struct {
	text string
	both error
}

func (r refused) Error() string { return r.text }
func (r refused) Unwrap() error { return r.both }
