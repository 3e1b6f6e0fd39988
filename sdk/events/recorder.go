// Package events records what happened to objects, as kubectl describe and
// kubectl get events show it.
package events

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync/atomic"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/lru"

	"github.com/musterhq/muster/sdk"
)

const (
	queueLength = 1024
	remembered  = 4096
	batchLength = 128
	// maxMessage is the server's limit, in bytes; maxName leaves room for the rest
	// of an event's name.
	maxMessage = 1024
	maxName    = 236
	// lastWords is how long events are written after the end.
	lastWords = time.Second
	// writeTimeout bounds one batch: none is worth holding up the others.
	writeTimeout = 10 * time.Second
)

// Config says who reports.
type Config struct {
	Client *sdk.Client
	// Component is the source, for example "default-scheduler" or "kubelet".
	Component string
	// Host is the node it runs on; may be empty.
	Host string
	// Logger for events that could not be written; nil discards.
	Logger *slog.Logger
}

// Recorder writes events in the background. The same event about the same
// object raises the count of the one that is there. Event never blocks: when
// the queue is full the event is dropped and counted.
type Recorder struct {
	cfg     Config
	log     *slog.Logger
	queue   chan *corev1.Event
	dropped atomic.Int64
	counts  *lru.Cache // NamespacedName → int32, what this recorder wrote last
	kinds   *runtime.Scheme
}

// New makes a recorder; Run writes what it records.
func New(cfg Config) *Recorder {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Recorder{cfg: cfg, log: cfg.Logger.With("component", "events"),
		queue: make(chan *corev1.Event, queueLength), counts: lru.New(remembered), kinds: kinds()}
}

// Dropped is how many events found the queue full.
func (r *Recorder) Dropped() int64 { return r.dropped.Load() }

// Event records that something happened to an object of the cluster. The type
// is corev1.EventTypeNormal or EventTypeWarning, the reason one CamelCase word.
func (r *Recorder) Event(obj sdk.Object, eventType, reason, format string, args ...any) {
	ev, err := r.event(obj, eventType, reason, fmt.Sprintf(format, args...))
	if err != nil {
		r.log.Error("event about an unknown kind", "error", err)
		return
	}
	select {
	case r.queue <- ev:
	default:
		r.dropped.Add(1)
	}
}

func (r *Recorder) event(obj sdk.Object, eventType, reason, message string) (*corev1.Event, error) {
	ref, err := r.reference(obj)
	if err != nil {
		return nil, err
	}
	message = cut(message, maxMessage)
	namespace := ref.Namespace
	if namespace == "" {
		// Events about cluster-wide objects live in the default namespace.
		namespace = metav1.NamespaceDefault
	}
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	return &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, Name: r.name(ref, eventType, reason, message)},
		InvolvedObject:      *ref,
		Type:                eventType,
		Reason:              reason,
		Message:             message,
		Source:              corev1.EventSource{Component: r.cfg.Component, Host: r.cfg.Host},
		ReportingController: r.cfg.Component,
		ReportingInstance:   r.cfg.Host,
		FirstTimestamp:      now,
		LastTimestamp:       now,
		Count:               1,
	}, nil
}

// name is the same for the same event, so that a recorder finds what one before
// it wrote.
func (r *Recorder) name(ref *corev1.ObjectReference, eventType, reason, message string) string {
	h := fnv.New64a()
	for _, s := range []string{ref.Kind, string(ref.UID), ref.FieldPath, eventType, reason, message, r.cfg.Component, r.cfg.Host} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return fmt.Sprintf("%s.%016x", cut(ref.Name, maxName), h.Sum64())
}

// cut keeps at most n bytes, and no part of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Run writes recorded events until ctx ends; what is queued or on its way then
// is still written, for as long as a second.
func (r *Recorder) Run(ctx context.Context) error {
	writing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	for {
		select {
		case ev := <-r.queue:
			r.write(writing, r.gather(ev))
		case <-ctx.Done():
			r.drain(writing)
			return nil
		}
	}
}

func (r *Recorder) drain(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case ev := <-r.queue:
			r.write(ctx, r.gather(ev))
		default:
			return
		}
	}
}
