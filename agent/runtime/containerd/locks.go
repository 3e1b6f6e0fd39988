package containerd

import "sync"

// locks serialises work on one pod: its worker and a listing of all pods may
// both find that one of its containers has exited.
type locks struct {
	mu   sync.Mutex
	held map[string]*heldLock
}

type heldLock struct {
	sync.Mutex
	users int
}

func newLocks() locks { return locks{held: make(map[string]*heldLock)} }

func (l *locks) lock(podUID string) (unlock func()) {
	l.mu.Lock()
	h := l.held[podUID]
	if h == nil {
		h = &heldLock{}
		l.held[podUID] = h
	}
	h.users++
	l.mu.Unlock()
	h.Lock()
	return func() {
		h.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, podUID)
		}
	}
}
