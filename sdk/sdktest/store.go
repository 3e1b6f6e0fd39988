package sdktest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
)

type key struct{ typ, namespace, name string }

// change is a committed change: old nil for a creation, new nil for a deletion.
type change struct {
	revision uint64
	old, new sdk.Object
	key      key
}

// store holds objects that are never modified once they are in it.
type store struct {
	mu        sync.Mutex
	objects   map[key]sdk.Object
	revision  uint64
	compacted uint64
	log       []change
	changed   chan struct{} // closed and replaced at each commit
	uids      int
}

func newStore() *store {
	return &store{objects: map[key]sdk.Object{}, changed: make(chan struct{})}
}

func (s *store) compact() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log, s.compacted = nil, s.revision
	close(s.changed)
	s.changed = make(chan struct{})
}

// transaction stages changes over the store, whose lock it holds.
type transaction struct {
	*store
	staged map[key]sdk.Object // nil: deleted
	order  []key
}

// do runs operations that are committed if none of them fails and it is no dry run.
func (s *store) do(dryRun bool, f func(tx *transaction) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &transaction{store: s, staged: map[key]sdk.Object{}}
	if err := f(tx); err != nil || dryRun {
		return err
	}
	for _, k := range tx.order {
		s.revision++
		old, now := s.objects[k], tx.staged[k]
		if now == nil {
			delete(s.objects, k)
			old = old.DeepCopyObject().(sdk.Object)
			old.SetResourceVersion(strconv.FormatUint(s.revision, 10))
		} else {
			now.SetResourceVersion(strconv.FormatUint(s.revision, 10))
			s.objects[k] = now
		}
		s.log = append(s.log, change{revision: s.revision, old: old, new: now, key: k})
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// get returns a copy that may be modified and put.
func (tx *transaction) get(k key) (sdk.Object, error) {
	obj, staged := tx.staged[k]
	if !staged {
		obj = tx.objects[k]
	}
	if obj == nil {
		return nil, apierrors.NewNotFound(resource(k.typ), k.name)
	}
	return obj.DeepCopyObject().(sdk.Object), nil
}

func (tx *transaction) put(k key, obj sdk.Object) {
	if _, again := tx.staged[k]; !again {
		tx.order = append(tx.order, k)
	}
	tx.staged[k] = obj
}

func (tx *transaction) newUID() types.UID {
	tx.uids++
	return types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", tx.uids))
}

func now() metav1.Time { return metav1.NewTime(time.Now().Truncate(time.Second)) }

// list returns the matching objects in order, and the revision.
func (s *store) list(m matcher) ([]sdk.Object, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listLocked(m), s.revision
}

func (s *store) listLocked(m matcher) []sdk.Object {
	keys := slices.Collect(maps.Keys(s.objects))
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	var out []sdk.Object
	for _, k := range keys {
		if m.matches(k, s.objects[k]) {
			out = append(out, s.objects[k])
		}
	}
	return out
}

// since returns the changes after a revision, waiting for the first.
func (s *store) since(ctx context.Context, after uint64) ([]change, error) {
	for {
		s.mu.Lock()
		if after < s.compacted {
			s.mu.Unlock()
			return nil, apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", after, s.compacted))
		}
		i, _ := slices.BinarySearchFunc(s.log, after+1, func(c change, r uint64) int { return cmp.Compare(c.revision, r) })
		tail, wake := slices.Clone(s.log[i:]), s.changed
		s.mu.Unlock()
		if len(tail) > 0 {
			return tail, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// matcher is what a list or a watch selects.
type matcher struct {
	typ, namespace string
	labels         labels.Selector
	fields         fields.Selector
}

func newMatcher(typ, namespace, labelSelector, fieldSelector string) (matcher, error) {
	m := matcher{typ: typ, namespace: namespace}
	var err error
	if m.labels, err = labels.Parse(labelSelector); err != nil {
		return m, apierrors.NewBadRequest(err.Error())
	}
	if m.fields, err = fields.ParseSelector(fieldSelector); err != nil {
		return m, apierrors.NewBadRequest(err.Error())
	}
	return m, nil
}

func (m matcher) matches(k key, obj sdk.Object) bool {
	if obj == nil || k.typ != m.typ || (m.namespace != "" && k.namespace != m.namespace) {
		return false
	}
	if !m.labels.Matches(labels.Set(obj.GetLabels())) {
		return false
	}
	return m.fields.Empty() || m.fields.Matches(fieldsOf(obj))
}

// fieldSet finds any string field by its dotted path.
type fieldSet struct{ content map[string]any }

func fieldsOf(obj sdk.Object) fieldSet {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		panic(fmt.Sprintf("sdktest: %T as fields: %v", obj, err))
	}
	return fieldSet{content}
}
