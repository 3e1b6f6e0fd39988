package replica

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// wire is a stream layer whose every connection leads to one listener.
type wire struct {
	dialed chan net.Conn
	closed chan struct{}
}

func (w wire) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) {
	near, far := net.Pipe()
	w.dialed <- far
	return near, nil
}

func (w wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.dialed:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w wire) Close() error   { close(w.closed); return nil }
func (w wire) Addr() net.Addr { return address("wire:1") }

// A leader that goes on sending, to a follower that has refused an append, must
// learn of it. If it waits forever, the bubble ends in a deadlock.
func TestPipelineEndsWithARefusedAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wire{make(chan net.Conn), make(chan struct{})}
		both := &transport{raft.NewNetworkTransport(w, 1, time.Second, io.Discard)}
		defer func() { _ = both.Close() }()
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				select {
				case rpc := <-both.Consumer():
					rpc.Respond(&raft.AppendEntriesResponse{Term: 2}, nil)
				case <-stop:
					return
				}
			}
		}()
		p, err := both.AppendEntriesPipeline("follower", "wire:1")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		if _, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1}, &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
		if answer := <-p.Consumer(); answer.Error() != nil || answer.Response().Success {
			t.Fatal("it was not refused")
		}
		for range 8 {
			if _, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1}, &raft.AppendEntriesResponse{}); err != nil {
				return
			}
		}
		t.Error("appends go on after one was refused")
	})
}
