package replica

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// transport mends a way in which hashicorp/raft (1.8.0) waits forever. When a
// follower refuses an append, the goroutine that reads a pipeline's answers ends,
// and the one that sends is to notice before it sends again. If it has begun to,
// it waits for room that nobody makes any more: the follower gets no further
// entries from this leader, and a leader that was deposed so cannot be shut down.
//
// It also tells followers of what is committed while nothing else is sent to
// them. Raft does so with the next entry, or after Timing.Commit.
type transport struct {
	*raft.NetworkTransport
	acks   acks
	hangUp func() // ends all calls of others: Raft is to end
	stall  *stall // of the log
	// reached bounds what followers are told is committed: by what is on disk here.
	reached func(index uint64) uint64

	mu        sync.Mutex
	pipelines map[*pipeline]struct{}
}

func newTransport(inner *raft.NetworkTransport, stall *stall, reached func(uint64) uint64) *transport {
	return &transport{NetworkTransport: inner, stall: stall, reached: reached, pipelines: make(map[*pipeline]struct{})}
}

// AppendEntries sends a heartbeat, or what a follower that is behind lacks.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	if err := t.admit(request); err != nil {
		return err
	}
	number := t.acks.next()
	err := t.NetworkTransport.AppendEntries(id, target, request, response)
	if err == nil && response.Success {
		t.acks.accepted(id, number)
	}
	return err
}

// admit lets nothing out while the disk of the log hangs, and tells of no commit
// that is not on it.
func (t *transport) admit(request *raft.AppendEntriesRequest) error {
	if err := t.stall.err(); err != nil {
		return err
	}
	request.LeaderCommitIndex = t.reached(request.LeaderCommitIndex)
	return nil
}

// AppendEntriesPipeline returns a pipeline that ends once an append failed.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := &pipeline{AppendPipeline: inner, admit: t.admit, answers: make(chan raft.AppendFuture), closed: make(chan struct{}), sending: make(chan struct{}, 1)}
	p.late = time.AfterFunc(time.Hour, p.announce)
	p.closing = sync.OnceValue(func() error {
		t.mu.Lock()
		delete(t.pipelines, p)
		t.mu.Unlock()
		close(p.closed)
		p.late.Stop()
		return p.AppendPipeline.Close()
	})
	t.mu.Lock()
	t.pipelines[p] = struct{}{}
	t.mu.Unlock()
	go p.relay()
	return p, nil
}

// sends tells whether entries are sent to anybody as they come.
func (t *transport) sends() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.pipelines) > 0
}

// committed has the followers told of an index that was committed in a term at the
// latest, unless the next entry does so soon. Whoever leads in that term or later
// has all up to it.
func (t *transport) committed(index, term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := range t.pipelines {
		p.committed(index, term)
	}
}

// pipeline looks at the requests and the answers on their way.
type pipeline struct {
	raft.AppendPipeline
	admit   func(*raft.AppendEntriesRequest) error // as the transport does
	answers chan raft.AppendFuture
	closing func() error
	closed  chan struct{}

	// sending has room for who sends a request, which may wait for an answer to
	// one before: for that a mutex would keep virtual time from going on.
	sending chan struct{}

	mu    sync.Mutex
	late  *time.Timer                // runs announce
	last  *raft.AppendEntriesRequest // sent, without its entries
	sent  time.Time                  // when entries were sent last
	pace  time.Duration              // between the last two times
	owed  uint64                     // index that the follower is to be told of
	extra []*raft.AppendEntriesRequest
}

// announceAfter is how long a follower is left without the news that an entry is
// committed. A caller that writes without a pause comes again before that, with an
// entry that tells it. Where entries come at such a pace that the next one is due
// within announceMost, it is waited for: two messages for each entry are a good part
// of what it costs.
const (
	announceAfter = time.Millisecond
	announceMost  = 5 * time.Millisecond
)

// patience is how long the next entry is waited for. The lock is held.
func (p *pipeline) patience() time.Duration {
	if late := 2 * p.pace; late > announceAfter && late <= announceMost {
		return late
	}
	return announceAfter
}

// Consumer returns the answers, in order.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close ends the pipeline; an append that waits for room fails.
func (p *pipeline) Close() error { return p.closing() }

// AppendEntries sends what Raft has for the follower.
func (p *pipeline) AppendEntries(request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	select {
	case p.sending <- struct{}{}:
		defer func() { <-p.sending }()
	case <-p.closed:
		return nil, raft.ErrPipelineShutdown
	}
	if err := p.admit(request); err != nil {
		return nil, err
	}
	p.note(request)
	return p.AppendPipeline.AppendEntries(request, response)
}

// note remembers where the follower's log will end.
func (p *pipeline) note(request *raft.AppendEntriesRequest) {
	last := *request
	last.Entries = nil
	if n := len(request.Entries); n > 0 {
		last.PrevLogEntry, last.PrevLogTerm = request.Entries[n-1].Index, request.Entries[n-1].Term
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last = &last; len(request.Entries) > 0 {
		now := time.Now()
		p.pace, p.sent = now.Sub(p.sent), now
	}
	if p.owed > 0 && last.LeaderCommitIndex >= p.owed {
		p.owed = 0
		p.late.Stop()
	}
}

func (p *pipeline) committed(index, term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || p.last.Term < term || p.last.LeaderCommitIndex >= index {
		return
	}
	if p.owed == 0 {
		p.late.Reset(p.patience())
	}
	p.owed = max(p.owed, index)
}

// announce sends an append without entries. What it says is committed is no more
// than the follower's log has from this leader.
func (p *pipeline) announce() {
	select {
	case p.sending <- struct{}{}:
		defer func() { <-p.sending }()
	default: // what is sent may tell it
		p.late.Reset(announceAfter)
		return
	}
	p.mu.Lock()
	if p.owed == 0 || p.last.PrevLogEntry == 0 {
		p.mu.Unlock()
		return
	}
	request := *p.last
	request.LeaderCommitIndex = min(p.owed, request.PrevLogEntry)
	p.owed = 0
	p.extra = append(p.extra, &request)
	p.mu.Unlock()
	p.note(&request)
	_, _ = p.AppendPipeline.AppendEntries(&request, &raft.AppendEntriesResponse{}) // an error is Raft's next one too
}

// own tells whether an answer is to a request that is not Raft's.
func (p *pipeline) own(answer raft.AppendFuture) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.extra) == 0 || p.extra[0] != answer.Request() {
		return false
	}
	p.extra = p.extra[1:]
	return true
}

// relay hands the answers over until one tells of a failure: Raft reads no more
// after it.
func (p *pipeline) relay() {
	for {
		select {
		case answer := <-p.AppendPipeline.Consumer():
			failed := answer.Error() != nil || !answer.Response().Success
			if !p.own(answer) {
				select {
				case p.answers <- answer:
				case <-p.closed:
					return
				}
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
