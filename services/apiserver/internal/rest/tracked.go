package rest

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/fairness"
)

const (
	// stallLimit is how long a write may wait for the client to read, or a read for it
	// to send, until it is cut off. What is written at once is 64 KiB at most, so who
	// reads 2 KiB a second is let be.
	stallLimit = 30 * time.Second
	// seatShare of that is how long it keeps its seats meanwhile: others must not wait
	// for a slow client.
	seatShare = 30
	// blockingSize is the smallest write that may have to wait: smaller ones go to
	// buffers of net/http, and what is left there at the end is sent under the
	// server's WriteTimeout.
	blockingSize = 4 << 10 // bytes
)

// tracked is an answer under way: whether it has begun, the seats that its request
// holds, and whether the client keeps up.
type tracked struct {
	http.ResponseWriter
	started bool
	record  *record // for the audit log; nil is none

	control *http.ResponseController
	stall   time.Duration
	lasting bool // no WriteTimeout bounds what the client has not read

	mu    sync.Mutex // of what follows
	seat  fairness.Seat
	guard *time.Timer           // nil until there was something to wait for
	cut   func(time.Time) error // ends what is waited for; nil if nothing is
	late  bool                  // it has been waited for so long that the seats are gone
}

func newTracked(w http.ResponseWriter, stall time.Duration) *tracked {
	return &tracked{ResponseWriter: w, control: http.NewResponseController(w), stall: stall}
}

// Unwrap lets http.ResponseController reach the connection.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// WriteHeader begins the answer.
func (t *tracked) WriteHeader(code int) {
	t.started = true
	t.record.begun(code)
	t.ResponseWriter.WriteHeader(code)
}

// Write writes a part of the answer.
func (t *tracked) Write(p []byte) (int, error) {
	t.started = true
	t.record.said(p)
	if len(p) < blockingSize && !t.lasting {
		return t.ResponseWriter.Write(p)
	}
	written := 0
	for {
		part := p[written:min(len(p), written+writeSize)]
		t.watch(t.control.SetWriteDeadline)
		n, err := t.ResponseWriter.Write(part)
		t.unwatch()
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// writeSize is how much is written at once.
const writeSize = 64 << 10 // bytes

// FlushError sends what was written.
func (t *tracked) FlushError() error {
	t.watch(t.control.SetWriteDeadline)
	defer t.unwatch()
	return t.control.Flush()
}

// last has the answer go on for as long as the client takes it: a watch, a log, an
// image, a list that is long. Who stops reading is still cut off.
func (t *tracked) last() {
	if !t.lasting {
		t.lasting = true
		_ = t.control.SetWriteDeadline(time.Time{}) // none in tests without a connection
	}
}

// watch notices when what follows until unwatch takes too long.
func (t *tracked) watch(cut func(time.Time) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut, t.late = cut, false
	if t.guard == nil {
		t.guard = time.AfterFunc(t.stall/seatShare, t.stalled)
	} else {
		t.guard.Reset(t.stall / seatShare)
	}
}

func (t *tracked) unwatch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = nil
	t.guard.Stop()
}

// stalled is called when the client lets the server wait.
func (t *tracked) stalled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.cut == nil:
	case t.late:
		_ = t.cut(time.Unix(1, 0)) // in the past: ends the write or read that waits
	default:
		t.late = true
		t.seat.Release()
		t.guard.Reset(t.stall - t.stall/seatShare)
	}
}

// sit has the request hold a seat from now on.
func (t *tracked) sit(s fairness.Seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seat = s
}

// leave gives the request's seat back.
func (t *tracked) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seat.Release()
}

// leave gives the seat back of the request that w answers.
func leave(w http.ResponseWriter) {
	if t, ok := w.(*tracked); ok {
		t.leave()
	}
}

// watchedBody is a request's body whose sender is cut off when nothing comes, or
// not all of it until ctx ends.
type watchedBody struct {
	io.ReadCloser
	t   *tracked
	ctx context.Context
}

func (b watchedBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	b.t.watch(b.t.control.SetReadDeadline)
	defer b.t.unwatch()
	return b.ReadCloser.Read(p)
}
