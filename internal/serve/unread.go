package serve

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/access"
)

const (
	// unreadFrom is the size of an answer from which it is watched: smaller ones are
	// lost among what a connection's buffers hold.
	unreadFrom = 64 << 10 // bytes
	// unreadMost is how much a caller may leave unread, on all of its connections,
	// until its next calls wait: one answer of the largest size.
	unreadMost = MaxMessageSize
)

// unread counts what callers were answered and have not read. gRPC has a call that is
// no stream answered when its answer is queued, where it stays for as long as the
// client does not ask for it: nobody waits for that, and nothing ends it.
type unread struct {
	most int

	mu      sync.Mutex
	callers map[string]*backlogged
}

// backlogged is what one caller has not read.
type backlogged struct {
	bytes int
	less  chan struct{} // closed when it becomes less
}

// room waits until a caller may be answered more.
func (u *unread) room(ctx context.Context, caller string) error {
	for {
		u.mu.Lock()
		b, ok := u.callers[caller]
		if !ok || b.bytes < u.most {
			u.mu.Unlock()
			return nil
		}
		less := b.less
		u.mu.Unlock()
		select {
		case <-less:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func (u *unread) add(caller string, bytes int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, ok := u.callers[caller]
	if !ok {
		b = &backlogged{less: make(chan struct{})}
		u.callers[caller] = b
	}
	b.bytes += bytes
}

func (u *unread) remove(caller string, bytes int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b := u.callers[caller]
	close(b.less)
	b.less = make(chan struct{})
	if b.bytes -= bytes; b.bytes == 0 {
		delete(u.callers, caller)
	}
}

// answer is what a call returns to gRPC, which hands it to Codec.
type answer struct {
	message         any
	caller, address string
}

// Unary is a unary interceptor, to be put outside of those that look at answers: it ends
// the connection of a client that lets a large answer wait for too long, and has the
// calls of one that has much to read wait. It needs Codec.
func (r *Readers) Unary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return handler(ctx, request)
	}
	user, _ := access.UserFrom(ctx)
	if err := r.unread.room(ctx, user.Name); err != nil {
		return nil, err
	}
	message, err := handler(ctx, request)
	if err != nil {
		return nil, err
	}
	return &answer{message: message, caller: user.Name, address: p.Addr.String()}, nil
}

// Codec returns inner as a codec that is told when the answers to Unary's calls are
// sent: their memory is given back then.
func (r *Readers) Codec(inner encoding.CodecV2) encoding.CodecV2 { return answerCodec{inner, r} }

type answerCodec struct {
	encoding.CodecV2
	readers *Readers
}

// Marshal encodes v.
func (c answerCodec) Marshal(v any) (mem.BufferSlice, error) {
	a, ok := v.(*answer)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	data, err := c.CodecV2.Marshal(a.message)
	if err != nil || data.Len() < unreadFrom {
		return data, err
	}
	defer data.Free()
	return mem.BufferSlice{c.readers.watched(a, data.MaterializeToBuffer(mem.DefaultBufferPool()))}, nil
}

// watched returns an encoded answer whose client is cut off unless it is sent in time.
func (r *Readers) watched(a *answer, encoded mem.Buffer) mem.Buffer {
	bytes := encoded.Len()
	r.unread.add(a.caller, bytes)
	guard := time.AfterFunc(r.limit, func() { r.end(a.address) })
	raw := encoded.ReadOnlyData()
	return mem.NewBuffer(&raw, sent(func() {
		guard.Stop()
		r.unread.remove(a.caller, bytes)
		encoded.Free()
	}))
}

// sent is called for a buffer that nobody needs any more.
type sent func()

// Get implements mem.BufferPool; nobody takes a buffer from here.
func (sent) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}

// Put implements mem.BufferPool.
func (s sent) Put(*[]byte) { s() }
