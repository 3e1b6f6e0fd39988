package informer

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"github.com/musterhq/muster/sdk"
)

type objectKey struct{ namespace, name string }

func keyOf[T sdk.Object](obj T) objectKey { return objectKey{obj.GetNamespace(), obj.GetName()} }

// store holds objects by name and by index. Readers come from any goroutine,
// writers hold the informer's dispatch lock.
type store[T sdk.Object] struct {
	mu      sync.RWMutex
	objects map[objectKey]T
	indexes map[string]*index[T]
	encoded map[objectKey][]byte // nil unless mutations are tracked
}

type index[T sdk.Object] struct {
	values func(T) []string
	keys   map[string]map[objectKey]struct{}
}

func newStore[T sdk.Object](track bool) *store[T] {
	s := &store[T]{objects: map[objectKey]T{}, indexes: map[string]*index[T]{}}
	if track {
		s.encoded = map[objectKey][]byte{}
	}
	return s
}

func (s *store[T]) addIndex(name string, values func(T) []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.indexes[name] != nil {
		return
	}
	ix := &index[T]{values: values, keys: map[string]map[objectKey]struct{}{}}
	for k, obj := range s.objects {
		ix.add(k, obj)
	}
	s.indexes[name] = ix
}

func (ix *index[T]) add(k objectKey, obj T) {
	for _, v := range ix.values(obj) {
		if ix.keys[v] == nil {
			ix.keys[v] = map[objectKey]struct{}{}
		}
		ix.keys[v][k] = struct{}{}
	}
}

func (ix *index[T]) drop(k objectKey, obj T) {
	for _, v := range ix.values(obj) {
		if delete(ix.keys[v], k); len(ix.keys[v]) == 0 {
			delete(ix.keys, v)
		}
	}
}

func (s *store[T]) get(namespace, name string) (T, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	obj, ok := s.objects[objectKey{namespace, name}]
	return obj, ok
}

func (s *store[T]) list() []T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]T, 0, len(s.objects))
	for _, obj := range s.objects {
		out = append(out, obj)
	}
	return out
}

func (s *store[T]) byIndex(name string, values ...string) []T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ix := s.indexes[name]
	if ix == nil {
		return nil
	}
	found := map[objectKey]struct{}{}
	for _, v := range values {
		maps.Copy(found, ix.keys[v])
	}
	out := make([]T, 0, len(found))
	for k := range found {
		out = append(out, s.objects[k])
	}
	return out
}

func (s *store[T]) indexed(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.indexes[name] != nil
}

func (s *store[T]) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.objects)
}

// put returns what was there before.
func (s *store[T]) put(obj T) (old T) {
	k := keyOf(obj)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, was := s.objects[k]
	for _, ix := range s.indexes {
		if was {
			ix.drop(k, old)
		}
		ix.add(k, obj)
	}
	s.objects[k] = obj
	if s.encoded != nil {
		s.encoded[k], _ = obj.Marshal()
	}
	return old
}

func (s *store[T]) remove(obj T) bool {
	k := keyOf(obj)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, was := s.objects[k]
	if !was {
		return false
	}
	for _, ix := range s.indexes {
		ix.drop(k, old)
	}
	delete(s.objects, k)
	delete(s.encoded, k)
	return true
}

func (s *store[T]) modified() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for k, raw := range s.encoded {
		if now, err := s.objects[k].Marshal(); err != nil || !bytes.Equal(now, raw) {
			out = append(out, k.namespace+"/"+k.name)
		}
	}
	slices.Sort(out)
	return out
}
