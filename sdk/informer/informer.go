// Package informer keeps a cache of the objects of one type up to date by a
// watch, and tells handlers what changed.
//
// What it promises:
//   - The cache is a state the cluster was in, at most as old as the watch is
//     slow. While no server answers it stays as it was.
//   - Handlers see every object exactly once as new, then its changes, then its
//     deletion, in the order of the revisions, from one goroutine. Several
//     changes of one object may be seen as one after an interruption, and
//     deletions that happened meanwhile are told when the connection is back.
//     An object that was deleted and made again meanwhile (another UID) is told
//     as a deletion and a creation.
//   - Handlers run after the cache has taken the change in.
//   - Cached objects are shared by everyone in the process and must never be
//     modified: DeepCopy first.
package informer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
)

// Options say which objects to cache and how.
type Options struct {
	// Namespace; empty for all.
	Namespace string
	// LabelSelector and FieldSelector in Kubernetes' syntax.
	LabelSelector, FieldSelector string
	// TrackMutations keeps each object's encoding, so that CheckUnmodified can
	// find who modified a shared object. For tests: it doubles the memory.
	TrackMutations bool
	// Logger for interruptions; nil discards.
	Logger *slog.Logger
}

// Informer is a cache of the objects of type T.
type Informer[T sdk.Object] struct {
	opts Options
	log  *slog.Logger

	// dispatch is held while changes go into the cache and to the handlers, so
	// that a handler added meanwhile misses nothing and sees nothing twice.
	dispatch sync.Mutex
	handlers []*handler[T]

	typ    string
	watch  func(context.Context, sdk.WatchOptions) *sdk.Watcher[T]
	trim   func(T)
	store  *store[T]
	synced chan struct{}
	once   sync.Once
}

type handler[T sdk.Object] struct{ call func(old, new T) }

// New makes an informer; Run fills it.
func New[T sdk.Object](client *sdk.Client, opts Options) *Informer[T] {
	return newInformer(opts, sdk.TypeNameOf[T](), func(ctx context.Context, o sdk.WatchOptions) *sdk.Watcher[T] {
		return sdk.Watch[T](ctx, client, o)
	})
}

// Metadata makes an informer of the metadata of objects of a type that is known at
// run time only: "k8s.io.api.core.v1.Pod".
func Metadata(client *sdk.Client, typ string, opts Options) *Informer[*metav1.PartialObjectMetadata] {
	return newInformer(opts, typ, sdk.MetadataOf(client, typ).Watch)
}

func newInformer[T sdk.Object](opts Options, typ string, watch func(context.Context, sdk.WatchOptions) *sdk.Watcher[T]) *Informer[T] {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Informer[T]{
		opts: opts, typ: typ, watch: watch, trim: func(T) {},
		log:    opts.Logger.With("component", "informer", "type", typ),
		store:  newStore[T](opts.TrackMutations),
		synced: make(chan struct{}),
	}
}

// AddIndex keeps objects findable by the values that a function takes from
// them. The first function of a name stays: controllers that share an informer
// may both ask for the same index. Call it before Run.
func (i *Informer[T]) AddIndex(name string, values func(T) []string) { i.store.addIndex(name, values) }

// Trim has a function called for each object before it is cached, which may empty what
// nobody here needs. Call it before Run.
func (i *Informer[T]) Trim(trim func(T)) { i.trim = trim }

// OnChange has a function called for every change: old is nil for a new object,
// new is nil for a deleted one. It is called at once for what is cached already.
// A slow function holds up the cache; it must not call OnChange or the returned
// function, which ends the calls.
func (i *Informer[T]) OnChange(call func(old, new T)) (remove func()) {
	h := &handler[T]{call: call}
	i.dispatch.Lock()
	defer i.dispatch.Unlock()
	var none T
	for _, obj := range i.store.list() {
		call(none, obj)
	}
	i.handlers = append(i.handlers, h)
	return func() {
		i.dispatch.Lock()
		defer i.dispatch.Unlock()
		i.handlers = slices.DeleteFunc(slices.Clone(i.handlers), func(o *handler[T]) bool { return o == h })
	}
}

// Get returns a cached object, which must not be modified.
func (i *Informer[T]) Get(namespace, name string) (T, bool) { return i.store.get(namespace, name) }

// List returns all cached objects in no particular order; they must not be
// modified, the slice may be.
func (i *Informer[T]) List() []T { return i.store.list() }

// ByIndex returns the objects whose index values include value. An index that
// was never added holds nothing.
func (i *Informer[T]) ByIndex(name, value string) []T { return i.store.byIndex(name, value) }

// ByIndexAny is ByIndex for several values at one moment, each object once: one
// that goes from one of the values to another is not missed on the way.
func (i *Informer[T]) ByIndexAny(name string, values ...string) []T {
	return i.store.byIndex(name, values...)
}

// Len is the count of cached objects.
func (i *Informer[T]) Len() int { return i.store.len() }

// HasSynced says whether the cache has been filled once, handlers included.
func (i *Informer[T]) HasSynced() bool {
	select {
	case <-i.synced:
		return true
	default:
		return false
	}
}

// WaitSynced waits for HasSynced, or for ctx to end.
func (i *Informer[T]) WaitSynced(ctx context.Context) error {
	select {
	case <-i.synced:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CheckUnmodified returns the names of cached objects that someone modified. It
// needs Options.TrackMutations.
func (i *Informer[T]) CheckUnmodified() []string { return i.store.modified() }

// Run keeps the cache up to date until ctx ends, which is no error. It returns
// an error only when the cluster says that it will never answer this watch: the
// caller may not, or the type or a selector is unknown.
func (i *Informer[T]) Run(ctx context.Context) error {
	for failures := 0; ; {
		began, err := i.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if final(err) {
			return fmt.Errorf("watch %s: %w", i.typ, err)
		}
		if began {
			failures = 0
		}
		if sdk.IsExpired(err) && began {
			i.log.Info("watch fell behind, listing again", "error", err)
			continue
		}
		failures++
		i.log.Warn("watch interrupted", "error", err, "failures", failures)
		if !sleep(ctx, backoff(failures)) {
			return nil
		}
	}
}

// follow lists and watches until the watch ends. began says that the list was
// complete.
func (i *Informer[T]) follow(ctx context.Context) (began bool, err error) {
	w := i.watch(ctx, sdk.WatchOptions{
		Namespace: i.opts.Namespace, LabelSelector: i.opts.LabelSelector, FieldSelector: i.opts.FieldSelector,
		SendInitialEvents: true,
	})
	defer w.Stop()
	var initial []T
	for {
		events, err := w.Next()
		if err != nil {
			return began, err
		}
		n := 0
		for ; n < len(events) && !began; n++ {
			switch ev := events[n]; ev.Type {
			case sdk.Added, sdk.Modified:
				initial = append(initial, ev.Object)
			case sdk.Bookmark:
				if began = ev.InitialEventsEnd; began {
					i.replace(initial)
					initial = nil
					i.once.Do(func() { close(i.synced) })
				}
			}
		}
		i.apply(events[n:])
	}
}

func (i *Informer[T]) apply(events []sdk.Event[T]) {
	i.dispatch.Lock()
	defer i.dispatch.Unlock()
	for _, ev := range events {
		switch ev.Type {
		case sdk.Added, sdk.Modified:
			i.put(ev.Object)
		case sdk.Deleted:
			i.remove(ev.Object)
		}
	}
}

// replace makes the cache hold exactly these objects and tells the differences:
// deletions first, so that what they freed is free before it is taken again.
func (i *Informer[T]) replace(objects []T) {
	now := make(map[objectKey]types.UID, len(objects))
	for _, obj := range objects {
		now[keyOf(obj)] = obj.GetUID()
	}
	i.dispatch.Lock()
	defer i.dispatch.Unlock()
	for _, old := range i.store.list() {
		if uid, ok := now[keyOf(old)]; !ok || uid != old.GetUID() {
			i.remove(old)
		}
	}
	for _, obj := range objects {
		i.put(obj)
	}
}

func (i *Informer[T]) put(obj T) {
	old, was := i.store.get(obj.GetNamespace(), obj.GetName())
	if was && old.GetUID() != obj.GetUID() {
		i.remove(old)
	} else if was && old.GetResourceVersion() == obj.GetResourceVersion() && obj.GetResourceVersion() != "" {
		return
	}
	i.trim(obj)
	old = i.store.put(obj)
	i.tell(old, obj)
}

// remove tells handlers the last state, which a deletion event carries.
func (i *Informer[T]) remove(last T) {
	if !i.store.remove(last) {
		return
	}
	var none T
	i.tell(last, none)
}

func (i *Informer[T]) tell(old, new T) {
	for _, h := range i.handlers {
		h.call(old, new)
	}
}

// final says of an error that trying again will not help.
func final(err error) bool {
	switch {
	case apierrors.IsForbidden(err), apierrors.IsBadRequest(err), apierrors.IsNotFound(err),
		apierrors.IsInvalid(err), apierrors.IsMethodNotSupported(err):
		return true
	}
	if typed := apierrors.APIStatus(nil); errors.As(err, &typed) {
		return false
	}
	switch status.Code(err) {
	case codes.Unimplemented, codes.PermissionDenied, codes.InvalidArgument, codes.Canceled:
		return true
	}
	return false
}

// backoff grows from 20 ms to 5 s, half of it at random.
func backoff(failures int) time.Duration {
	d := min(20*time.Millisecond<<min(failures, 8), 5*time.Second)
	return d/2 + rand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
