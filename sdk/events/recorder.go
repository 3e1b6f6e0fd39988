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
// object raises the count of the one that is there, as long as the recorder
// remembers it. Event never blocks: when the queue is full the event is dropped
// and counted.
type Recorder struct {
	cfg     Config
	log     *slog.Logger
	queue   chan *entry
	dropped atomic.Int64
	kinds   *runtime.Scheme

	// Of the goroutine of Run.
	written *lru.Cache // entry.key → written
	stamp   int64      // of the latest name, in nanoseconds since 1970
}

// entry is an event on its way.
type entry struct {
	event *corev1.Event
	key   uint64 // the same for the same event
	at    time.Time
}

// written is what this recorder wrote last of an event.
type written struct {
	name  string
	count int32
}

// New makes a recorder; Run writes what it records.
func New(cfg Config) *Recorder {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Recorder{cfg: cfg, log: cfg.Logger.With("component", "events"),
		queue: make(chan *entry, queueLength), written: lru.New(remembered), kinds: kinds()}
}

// Dropped is how many events found the queue full.
func (r *Recorder) Dropped() int64 { return r.dropped.Load() }

// Event records that something happened to an object of the cluster. The type
// is corev1.EventTypeNormal or EventTypeWarning, the reason one CamelCase word.
func (r *Recorder) Event(obj sdk.Object, eventType, reason, format string, args ...any) {
	e, err := r.entry(obj, eventType, reason, fmt.Sprintf(format, args...))
	if err != nil {
		r.log.Error("event about an unknown kind", "error", err)
		return
	}
	select {
	case r.queue <- e:
	default:
		r.dropped.Add(1)
	}
}

func (r *Recorder) entry(obj sdk.Object, eventType, reason, message string) (*entry, error) {
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
	at := time.Now()
	seconds := metav1.NewTime(at.Truncate(time.Second))
	return &entry{key: key(ref, eventType, reason, message), at: at, event: &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace},
		InvolvedObject:      *ref,
		Type:                eventType,
		Reason:              reason,
		Message:             message,
		Source:              corev1.EventSource{Component: r.cfg.Component, Host: r.cfg.Host},
		ReportingController: r.cfg.Component,
		ReportingInstance:   r.cfg.Host,
		FirstTimestamp:      seconds,
		LastTimestamp:       seconds,
		Count:               1,
	}}, nil
}

func key(ref *corev1.ObjectReference, eventType, reason, message string) uint64 {
	h := fnv.New64a()
	for _, s := range []string{ref.Kind, ref.Namespace, ref.Name, string(ref.UID), ref.FieldPath, eventType, reason, message} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// name ends in when the event first happened, as Kubernetes' do: timestamps have
// seconds only, and kubectl describe shows what is of the same second by name.
// No two names of a recorder are the same.
func (r *Recorder) name(e *entry) string {
	r.stamp = max(e.at.UnixNano(), r.stamp+1)
	return fmt.Sprintf("%s.%016x", cut(e.event.InvolvedObject.Name, maxName), r.stamp)
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
		case e := <-r.queue:
			r.write(writing, r.gather(e))
		case <-ctx.Done():
			r.drain(writing)
			return nil
		}
	}
}

func (r *Recorder) drain(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case e := <-r.queue:
			r.write(ctx, r.gather(e))
		default:
			return
		}
	}
}
