package replica

import (
	"sync"

	"github.com/hashicorp/raft"
)

// transport mends a way in which hashicorp/raft (1.8.0) waits forever. When a
// follower refuses an append, the goroutine that reads a pipeline's answers ends,
// and the one that sends is to notice before it sends again. If it has begun to,
// it waits for room that nobody makes any more: the follower gets no further
// entries from this leader, and a leader that was deposed so cannot be shut down.
type transport struct {
	*raft.NetworkTransport
}

// AppendEntriesPipeline returns a pipeline that ends once an append failed.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := &pipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture), closed: make(chan struct{})}
	go p.relay()
	return p, nil
}

// pipeline looks at the answers on their way to Raft.
type pipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	closing sync.Once
	closed  chan struct{}
}

// Consumer returns the answers, in order.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close ends the pipeline; an append that waits for room fails.
func (p *pipeline) Close() error {
	p.closing.Do(func() { close(p.closed) })
	return p.AppendPipeline.Close()
}

// relay hands the answers over until one tells of a failure: Raft reads no more
// after it.
func (p *pipeline) relay() {
	for {
		select {
		case answer := <-p.AppendPipeline.Consumer():
			failed := answer.Error() != nil || !answer.Response().Success
			select {
			case p.answers <- answer:
			case <-p.closed:
				return
			}
			if failed {
				_ = p.AppendPipeline.Close()
				return
			}
		case <-p.closed:
			return
		}
	}
}
