package clientgo_test

import (
	"cmp"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// tale is what an informer tells a handler, held to what informers promise: an object
// is added once, updated from what it was, never to something older, and deleted once.
type tale struct {
	t *testing.T

	mu      sync.Mutex
	known   map[string]*corev1.ConfigMap
	resyncs int // updates to what was known
	updates int
}

func newTale(t *testing.T) *tale { return &tale{t: t, known: map[string]*corev1.ConfigMap{}} }

func (s *tale) OnAdd(obj any, _ bool) {
	m := obj.(*corev1.ConfigMap)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[m.Name] != nil {
		s.t.Errorf("%s was added twice", m.Name)
	}
	s.known[m.Name] = m
}

func (s *tale) OnUpdate(before, after any) {
	old, m := before.(*corev1.ConfigMap), after.(*corev1.ConfigMap)
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.known[m.Name]
	if known == nil || known.ResourceVersion != old.ResourceVersion {
		s.t.Errorf("%s was updated from %s, which it was not: %v", m.Name, old.ResourceVersion, known)
	}
	// One that was deleted and made again in between is another object.
	if m.UID == old.UID && compareVersions(m, old) < 0 {
		s.t.Errorf("%s went back from %s to %s", m.Name, old.ResourceVersion, m.ResourceVersion)
	}
	if m.ResourceVersion == old.ResourceVersion {
		s.resyncs++
	} else {
		s.updates++
	}
	s.known[m.Name] = m
}

func (s *tale) OnDelete(obj any) {
	if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	m := obj.(*corev1.ConfigMap)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[m.Name] == nil {
		s.t.Errorf("%s was deleted, and was not there", m.Name)
	}
	delete(s.known, m.Name)
}

func compareVersions(a, b *corev1.ConfigMap) int {
	va, _ := strconv.ParseUint(a.ResourceVersion, 10, 64)
	vb, _ := strconv.ParseUint(b.ResourceVersion, 10, 64)
	return cmp.Compare(va, vb)
}

// differs names an object that is not as the list has it; "" where all are.
func (s *tale) differs(list []corev1.ConfigMap) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		if known := s.known[list[i].Name]; known == nil || known.ResourceVersion != list[i].ResourceVersion {
			return list[i].Name
		}
	}
	if len(s.known) != len(list) {
		return "one that is gone"
	}
	return ""
}
