package replica

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/failpoint"
)

// roomPause lies between two tries to write entries for which there was no room.
const roomPause = 100 * time.Millisecond

// ahead lets a leader's Raft run ahead of its disk: its entries go to the followers
// while they are written here, and not after (Ongaro's thesis on Raft, 10.2.1). Raft
// takes an entry of a leader for stored as soon as StoreLogs returns, and so may take
// one for committed that is on a single disk, a follower's. Nobody hears of that:
// the state machine waits until the entry is on this disk too, and followers are told
// that nothing is committed beyond what is.
//
// Only commands run ahead, and only a leader's. What a follower answers for, and what
// Raft acts upon by itself, as the members, is written before anything else happens,
// together with all before it.
type ahead struct {
	store

	mu      sync.Mutex
	leads   func() bool // and there is somebody to send to
	pending []*raft.Log // not on disk yet, without a gap
	writing bool        // a goroutine writes them
	closed  bool
	err     error         // why the last write of theirs failed
	changed chan struct{} // closed when one of these changes
}

func newAhead(log store) *ahead {
	return &ahead{store: log, leads: func() bool { return false }, changed: make(chan struct{})}
}

// begin lets entries run ahead while this member leads others.
func (a *ahead) begin(leads func() bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leads = leads
}

// StoreLog appends an entry.
func (a *ahead) StoreLog(log *raft.Log) error { return a.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries, and returns before they are on disk if they may run
// ahead.
func (a *ahead) StoreLogs(logs []*raft.Log) error {
	if commands(logs) && a.take(logs) {
		return nil
	}
	if err := a.settle(); err != nil {
		return err
	}
	return a.store.StoreLogs(logs)
}

func commands(logs []*raft.Log) bool {
	for _, log := range logs {
		if log.Type != raft.LogCommand {
			return false
		}
	}
	return true
}

// take has entries written by and by, unless they may not run ahead.
func (a *ahead) take(logs []*raft.Log) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.leads() || a.closed || a.err != nil {
		return false
	}
	a.pending = append(a.pending, logs...)
	failpoint.Hit("replica/log/ahead")
	if !a.writing {
		a.writing = true
		go a.write()
	}
	return true
}

// write writes what is pending until nothing is.
func (a *ahead) write() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.pending) > 0 {
		logs := a.pending
		a.mu.Unlock()
		err := a.store.StoreLogs(logs)
		a.mu.Lock()
		if a.err = err; err == nil {
			a.pending = a.pending[len(logs):]
		}
		a.tell()
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrDiskFull) || a.closed {
			break
		}
		a.mu.Unlock()
		time.Sleep(roomPause)
		a.mu.Lock()
	}
	a.writing = false
	a.tell()
}

// tell wakes those who wait for a change. The lock is held.
func (a *ahead) tell() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// pends tells whether an entry is not on disk yet. The lock is held.
func (a *ahead) pends(index uint64) bool { return len(a.pending) > 0 && index >= a.pending[0].Index }

// settle waits until what runs ahead now is on disk. It fails when that cannot be
// written, if only for now.
func (a *ahead) settle() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pending) == 0 {
		return nil
	}
	return a.wait(a.pending[len(a.pending)-1].Index, func() bool { return a.err != nil })
}

// written waits until the entries up to index are on disk. It fails when they never
// will be, as far as this process goes.
func (a *ahead) written(index uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wait(index, func() bool { return a.err != nil && (a.closed || !errors.Is(a.err, ErrDiskFull)) })
}

// wait waits until the entries up to index are on disk, or there is no hope of it. The
// lock is held, but not meanwhile.
func (a *ahead) wait(index uint64, hopeless func() bool) error {
	for a.pends(index) {
		if hopeless() {
			return a.err
		}
		a.sleep()
	}
	return nil
}

// sleep waits for a change. The lock is held, but not meanwhile.
func (a *ahead) sleep() {
	changed := a.changed
	a.mu.Unlock()
	<-changed
	a.mu.Lock()
}

// reached returns how far the log is on disk, at most index.
func (a *ahead) reached(index uint64) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pends(index) {
		return a.pending[0].Index - 1
	}
	return index
}

// GetLog reads an entry. A member that does not lead any more looks at what it has in
// order to answer for it, and so reads what is on disk only.
func (a *ahead) GetLog(index uint64, log *raft.Log) error {
	if found, err := a.find(index, log); found || err != nil {
		return err
	}
	return a.store.GetLog(index, log)
}

// find reads an entry that runs ahead. If it must not be read as such, find waits until
// it is on disk.
func (a *ahead) find(index uint64, log *raft.Log) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.pends(index):
		return false, nil
	case !a.leads():
		return false, a.wait(index, func() bool { return a.err != nil })
	case index-a.pending[0].Index >= uint64(len(a.pending)):
		return false, nil
	}
	*log = *a.pending[index-a.pending[0].Index]
	return true, nil
}

// DeleteRange removes entries.
func (a *ahead) DeleteRange(min, max uint64) error {
	if err := a.settle(); err != nil {
		return err
	}
	return a.store.DeleteRange(min, max)
}

// close ends what waits for room on the disk. It returns when nothing is written any
// more, and nothing runs ahead from then on.
func (a *ahead) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.tell()
	for a.writing {
		a.sleep()
	}
	return nil
}
