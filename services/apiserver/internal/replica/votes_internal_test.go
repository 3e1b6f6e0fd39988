package replica

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestTheEndOfAConnectionIsKnown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	caller, err := raft.NewTCPTransport("127.0.0.1:0", nil, poolSize, time.Second, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	err = caller.RequestVote("b", raft.ServerAddress(l.Addr().String()), &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{})
	if !hadEnded(err) {
		t.Errorf("a call on a connection that ended is answered %T %v", err, err)
	}
	_ = l.Close()
	err = caller.RequestVote("b", raft.ServerAddress(l.Addr().String()), &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{})
	if err == nil || hadEnded(err) {
		t.Errorf("a call that is refused counts as one on a connection that ended: %v", err)
	}
}
