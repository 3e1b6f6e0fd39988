package objects

import (
	"time"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// step plans one change against the view of p. It may be called several times,
// each time with another plan, and keeps nothing between the calls.
type step func(p *plan) (Outcome, error)

// Outcome is what became of one change.
type Outcome struct {
	// Object as stored or, when it is gone, as it was.
	Object Stored
	// Gone says that the object no longer exists.
	Gone bool
	// Effect is what was done to it.
	Effect Effect

	operation int // index in the transaction whose revision is the object's, or -1
}

// Effect is what was done to an object.
type Effect int

// What may be done to an object.
const (
	// Unchanged is one that was so already.
	Unchanged Effect = iota
	// Created was not there.
	Created
	// Updated is another than before, also one that ends gracefully now.
	Updated
	// Deleted is gone.
	Deleted
)

// plan gathers one transaction. Whatever it reads it also checks, so that the
// transaction applies only to the state that it was planned on.
type plan struct {
	kinds    *registry.Table
	view     state.View
	now      time.Time
	tx       storev1.Transaction
	written  keys
	checked  keys
	ledger   ledger                    // nil unless a namespace with quotas is changed
	provided keys                      // created by nobody's wish, see furnish
	pending  pendings                  // nil in the plan of a single step
	claims   map[registry.Claim]string // owner, "" when this plan lets go of it; nil while it is empty
}

// keys is a set of keys. The zero value is empty; most sets hold one key at most,
// for which no map is made.
type keys struct {
	first state.Key
	rest  map[state.Key]bool
}

func (s *keys) empty() bool { return s.first == state.Key{} }

func (s *keys) has(k state.Key) bool { return s.first == k || s.rest[k] }

func (s *keys) add(k state.Key) {
	if s.empty() {
		s.first = k
		return
	}
	if s.rest == nil {
		s.rest = map[state.Key]bool{}
	}
	s.rest[k] = true
}

func protoKey(k state.Key) *storev1.Key {
	return &storev1.Key{Resource: k.Resource, Namespace: k.Namespace, Name: k.Name}
}

// add appends an operation. A transaction changes each key once: a later step's
// operation becomes part of the one that is there.
func (p *plan) add(key state.Key, op *storev1.Operation) (int, error) {
	if p.written.has(key) {
		return p.amend(key, op)
	}
	op.Key = protoKey(key)
	p.written.add(key)
	p.tx.Operations = append(p.tx.Operations, op)
	at := len(p.tx.Operations) - 1
	p.expect(key, at, op)
	return at, nil
}

// put stores obj, which value is the encoding of.
func (p *plan) put(k *registry.Kind, obj registry.Object, value []byte) *storev1.Operation {
	return &storev1.Operation{
		Action: storev1.Action_ACTION_PUT, Value: value,
		Index: indexOf(k, obj), ExpiresUnix: expiryOf(k, obj, p.now),
	}
}

// expiryOf returns when obj is past its time, in seconds since 1970; 0 is never.
// What has finalizers stays: who set them waits to see it go.
func expiryOf(k *registry.Kind, obj registry.Object, now time.Time) int64 {
	if k.Expires == nil || len(obj.GetFinalizers()) > 0 {
		return 0
	}
	at := k.Expires(obj, now)
	if at.IsZero() {
		return 0
	}
	return max(at.Add(time.Second-1).Unix(), 1) // Not a moment too early.
}

func (p *plan) create(key state.Key, op *storev1.Operation) (int, error) {
	op.Precondition = storev1.Precondition_PRECONDITION_ABSENT
	return p.add(key, op)
}

func (p *plan) replace(e *state.Entry, op *storev1.Operation) (int, error) {
	op.Precondition, op.Revision = storev1.Precondition_PRECONDITION_REVISION, e.ModRevision
	return p.add(e.Key.Plain(), op)
}

func (p *plan) remove(e *state.Entry) (int, error) {
	return p.add(e.Key.Plain(), &storev1.Operation{
		Precondition: storev1.Precondition_PRECONDITION_REVISION, Revision: e.ModRevision,
		Action: storev1.Action_ACTION_DELETE,
	})
}

// check makes the transaction depend on e being unchanged.
func (p *plan) check(e *state.Entry) {
	key := e.Key.Plain()
	if p.written.has(key) || p.checked.has(key) {
		return
	}
	p.checked.add(key)
	p.tx.Operations = append(p.tx.Operations, &storev1.Operation{
		Key: protoKey(key), Precondition: storev1.Precondition_PRECONDITION_REVISION, Revision: e.ModRevision,
	})
}
