package replica

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/hashicorp/raft"
)

// poolSize is how many idle connections to a member are kept.
const poolSize = 3

// RequestVote asks for a vote, on another connection if the one that was kept had
// ended: with a member that was started again since, and whose vote would be missed
// for as long as an election may take. A vote is given again to who has it.
//
// It does not say by which name it asks. hashicorp/raft (1.8.0) refuses its vote to a
// member that it does not know for a voter, and asks nobody without a name about
// that. But a member votes for whoever has all that it has, and who votes is a part
// of that: one that was away while another got its vote would refuse it, and with the
// leader of that time gone nobody could be elected, though a majority is there.
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestVoteRequest, response *raft.RequestVoteResponse) error {
	nameless := *request
	nameless.ID = nil
	return fresh(func() error { return t.NetworkTransport.RequestVote(id, target, &nameless, response) })
}

// RequestPreVote asks whether a member would vote, in the same way. This question has
// to have the name of a voter, which is used for nothing else; each knows its own.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestPreVoteRequest, response *raft.RequestPreVoteResponse) error {
	err := fresh(func() error { return t.NetworkTransport.RequestPreVote(id, target, request, response) })
	if err != nil || response.Granted {
		return err
	}
	known := *request
	known.ID = []byte(id)
	return fresh(func() error { return t.NetworkTransport.RequestPreVote(id, target, &known, response) })
}

// fresh makes a call again while the connection that it was made on had ended, as
// often as such may be kept.
func fresh(call func() error) (err error) {
	for range poolSize + 1 {
		if err = call(); !hadEnded(err) {
			return err
		}
	}
	return err
}

// hadEnded tells such a connection's errors from those of a new one.
func hadEnded(err error) bool {
	var decoding interface{ Cause() error } // the codec's errors do not unwrap
	if errors.As(err, &decoding) {
		err = decoding.Cause()
	}
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
