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
		both := newTransport(raft.NewNetworkTransport(w, 1, time.Second, io.Discard), newStall(), func(index uint64) uint64 { return index })
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

// A follower that is sent nothing else is told of a commit: of no more than its
// log has from the leader, and not by a leader of the past.
func TestFollowersAreToldOfCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wire{make(chan net.Conn), make(chan struct{})}
		both := newTransport(raft.NewNetworkTransport(w, 1, time.Second, io.Discard), newStall(), func(index uint64) uint64 { return min(index, 8) })
		defer func() { _ = both.Close() }()
		stop := make(chan struct{})
		defer close(stop)
		received := make(chan *raft.AppendEntriesRequest, 100)
		go func() {
			for {
				select {
				case rpc := <-both.Consumer():
					received <- rpc.Command.(*raft.AppendEntriesRequest)
					rpc.Respond(&raft.AppendEntriesResponse{Term: 2, Success: true}, nil)
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
		expect := func(what string, commits ...uint64) {
			t.Helper()
			time.Sleep(10 * time.Millisecond)
			for _, want := range commits {
				select {
				case r := <-received:
					if r.LeaderCommitIndex != want || r.Term != 2 {
						t.Errorf("%s: told of %d in term %d, not of %d", what, r.LeaderCommitIndex, r.Term, want)
					}
				default:
					t.Errorf("%s: not told of %d", what, want)
				}
			}
			if len(received) > 0 {
				t.Errorf("%s: told too much", what)
			}
		}
		send := func(index, commit uint64) {
			t.Helper()
			request := &raft.AppendEntriesRequest{Term: 2, PrevLogEntry: index - 1, PrevLogTerm: 2, LeaderCommitIndex: commit,
				Entries: []*raft.Log{{Index: index, Term: 2}}}
			if _, err := p.AppendEntries(request, &raft.AppendEntriesResponse{}); err != nil {
				t.Fatal(err)
			}
			if answer := <-p.Consumer(); answer.Request() != request {
				t.Fatal("Raft gets an answer to what it did not send")
			}
		}
		both.committed(1, 2)
		expect("before anything was sent")
		send(5, 4)
		expect("an entry", 4)
		both.committed(5, 2)
		expect("then nothing", 5)
		both.committed(5, 2)
		expect("the same again")
		both.committed(9, 2)
		expect("more than the follower has", 5)
		both.committed(9, 3)
		expect("of a later term")
		send(6, 5)
		both.committed(6, 2)
		send(7, 6)
		expect("the next entry tells it", 5, 6)
		send(8, 7)
		send(9, 9)
		expect("what is not on the leader's disk", 7, 8)
	})
}
