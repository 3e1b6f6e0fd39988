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
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestVoteRequest, response *raft.RequestVoteResponse) error {
	return fresh(func() error { return t.NetworkTransport.RequestVote(id, target, request, response) })
}

// RequestPreVote asks whether a member would vote, in the same way.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestPreVoteRequest, response *raft.RequestPreVoteResponse) error {
	return fresh(func() error { return t.NetworkTransport.RequestPreVote(id, target, request, response) })
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
