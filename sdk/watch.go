package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

// EventType says what happened to an object as seen through the selectors.
type EventType int

// The types of an event.
const (
	// Added came into view.
	Added EventType = iota + 1
	// Modified changed.
	Modified
	// Deleted went out of view; Object is its last state.
	Deleted
	// Bookmark carries a resourceVersion only.
	Bookmark
)

// String is the name as Kubernetes writes it.
func (t EventType) String() string {
	switch t {
	case Added:
		return "ADDED"
	case Modified:
		return "MODIFIED"
	case Deleted:
		return "DELETED"
	case Bookmark:
		return "BOOKMARK"
	}
	return fmt.Sprintf("EventType(%d)", int(t))
}

// Event is one change.
type Event[T Object] struct {
	Type EventType
	// Object after the change, before it for Deleted; nil in a Bookmark.
	Object T
	// ResourceVersion of the change.
	ResourceVersion string
	// InitialEventsEnd marks the Bookmark that ends the initial events.
	InitialEventsEnd bool
}

// WatchOptions select what to watch and from when.
type WatchOptions struct {
	// Namespace; empty for all.
	Namespace string
	// LabelSelector and FieldSelector in Kubernetes' syntax.
	LabelSelector, FieldSelector string
	// ResourceVersion after which changes are sent, as a list or an event gave it.
	ResourceVersion string
	// SendInitialEvents sends the present objects first, as Added, and then a
	// Bookmark with InitialEventsEnd.
	SendInitialEvents bool
}

// Watcher is a stream of changes. It is used by one goroutine.
type Watcher[T Object] struct {
	ctx    context.Context
	cancel context.CancelFunc
	client *Client
	typ    string // that is watched: T's own, or another one of which T is the metadata
	only   bool   // the metadata
	opts   WatchOptions
	stream apiv1.ObjectService_WatchClient
	wait   time.Duration
}

// inPlace has events decoded where they were received.
var inPlace = grpc.ForceCodecV2(exchange.Codec())

// Watch begins a watch; errors come out of Next. It ends with ctx or Stop.
func Watch[T Object](ctx context.Context, c *Client, opts WatchOptions) *Watcher[T] {
	return newWatcher[T](ctx, c, opts, TypeNameOf[T](), false)
}

func newWatcher[T Object](ctx context.Context, c *Client, opts WatchOptions, typ string, metadataOnly bool) *Watcher[T] {
	ctx, cancel := context.WithCancel(ctx)
	return &Watcher[T]{ctx: ctx, cancel: cancel, client: c, typ: typ, only: metadataOnly, opts: opts}
}

// Stop ends the watch and frees its stream.
func (w *Watcher[T]) Stop() { w.cancel() }

// Next returns the next changes, at least one, in order. When the server goes
// away it resumes on another after the last change returned. It returns an error
// for which IsExpired holds when that change is too far back, the error of the
// way when the initial events were cut short (the caller begins anew, for some
// of them may be gone by now), and ctx's error at its end.
func (w *Watcher[T]) Next() ([]Event[T], error) {
	for {
		events, err := w.receive()
		if err == nil {
			w.wait = 0
			if len(events) > 0 {
				return events, nil
			}
			continue
		}
		w.stream = nil
		if w.ctx.Err() != nil {
			return nil, w.ctx.Err()
		}
		if w.opts.SendInitialEvents || !IsRetryable(err) {
			return nil, wrap(err, "watch", w.typ, w.opts.Namespace, "")
		}
		w.wait = min(max(2*w.wait, 10*time.Millisecond), time.Second)
		if !pause(w.ctx, w.wait, asked(err)) {
			return nil, cmp.Or(w.ctx.Err(), wrap(err, "watch", TypeNameOf[T](), w.opts.Namespace, ""))
		}
	}
}

// All yields the changes one by one until the watch ends; the error that ended it, as
// Next returns it, is the last thing that it yields. A loop that is left ends the watch.
//
//	for event, err := range sdk.Watch[*corev1.Pod](ctx, c, sdk.WatchOptions{SendInitialEvents: true}).All() {
func (w *Watcher[T]) All() iter.Seq2[Event[T], error] {
	return func(yield func(Event[T], error) bool) {
		defer w.Stop()
		for {
			events, err := w.Next()
			if err != nil {
				yield(Event[T]{}, err)
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (w *Watcher[T]) receive() ([]Event[T], error) {
	if w.stream == nil {
		stream, err := w.client.objects.Watch(w.ctx, &apiv1.WatchRequest{
			Type: w.typ, MetadataOnly: w.only, Namespace: w.opts.Namespace, LabelSelector: w.opts.LabelSelector,
			FieldSelector: w.opts.FieldSelector, ResourceVersion: w.opts.ResourceVersion,
			SendInitialEvents: w.opts.SendInitialEvents,
		}, inPlace)
		if err != nil {
			return nil, fromGRPC(w.ctx, err)
		}
		w.stream = stream
	}
	resp, err := w.stream.Recv()
	if errors.Is(err, io.EOF) {
		// A server that shuts down ends its streams without an error.
		return nil, status.Error(codes.Unavailable, "the server ended the watch")
	}
	if err != nil {
		return nil, fromGRPC(w.ctx, err)
	}
	events := make([]Event[T], 0, len(resp.GetEvents()))
	for _, e := range resp.GetEvents() {
		ev, err := decodeEvent[T](e)
		if err != nil {
			return nil, err
		}
		events = append(events, ev)
		w.passed(ev)
	}
	return events, nil
}

// passed remembers how far the watch has come. During the initial events there
// is no revision to resume from, and the bookmark of a server that lags behind
// the one before it must not take the watch back.
func (w *Watcher[T]) passed(ev Event[T]) {
	if ev.InitialEventsEnd {
		w.opts.SendInitialEvents = false
	}
	if w.opts.SendInitialEvents {
		return
	}
	now, err := strconv.ParseUint(ev.ResourceVersion, 10, 64)
	if before, _ := strconv.ParseUint(w.opts.ResourceVersion, 10, 64); err == nil && now > before {
		w.opts.ResourceVersion = ev.ResourceVersion
	}
}

// decodeEvent keeps nothing of the message that the event came in.
func decodeEvent[T Object](e *apiv1.WatchEvent) (Event[T], error) {
	ev := Event[T]{ResourceVersion: strings.Clone(e.GetResourceVersion()), InitialEventsEnd: e.GetInitialEventsEnd()}
	switch e.GetType() {
	case apiv1.EventType_EVENT_TYPE_ADDED:
		ev.Type = Added
	case apiv1.EventType_EVENT_TYPE_MODIFIED:
		ev.Type = Modified
	case apiv1.EventType_EVENT_TYPE_DELETED:
		ev.Type = Deleted
	case apiv1.EventType_EVENT_TYPE_BOOKMARK:
		ev.Type = Bookmark
		return ev, nil
	default:
		return ev, fmt.Errorf("watch %s: unknown event type %v", TypeNameOf[T](), e.GetType())
	}
	var err error
	ev.Object, err = Decode[T](e.GetObject())
	return ev, err
}
