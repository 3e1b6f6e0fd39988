package replica

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// slow is a log whose writes wait until they are let go.
type slow struct {
	store
	gate chan error // what the next write returns

	mu     sync.Mutex
	stored []uint64
}

func (s *slow) StoreLogs(logs []*raft.Log) error {
	if err := <-s.gate; err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, log := range logs {
		s.stored = append(s.stored, log.Index)
	}
	return s.store.StoreLogs(logs)
}

func (s *slow) has(t *testing.T, want ...uint64) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.stored, want) {
		t.Errorf("on disk are %d, not %d", s.stored, want)
	}
}

// inAhead runs a test with a log that is written when the test says so.
func inAhead(t *testing.T, test func(t *testing.T, a *ahead, disk *slow, leads func(bool))) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slow{store: loose{raft.NewInmemStore()}, gate: make(chan error)}
		a := newAhead(disk)
		var mu sync.Mutex
		led := true
		a.begin(func() bool { mu.Lock(); defer mu.Unlock(); return led })
		test(t, a, disk, func(now bool) { mu.Lock(); defer mu.Unlock(); led = now })
	})
}

// commandsAt returns entries.
func commandsAt(indexes ...uint64) []*raft.Log {
	var logs []*raft.Log
	for _, i := range indexes {
		logs = append(logs, &raft.Log{Index: i, Term: 1, Type: raft.LogCommand, Data: fmt.Append(nil, i)})
	}
	return logs
}

// begun calls a function and tells whether it has returned, once all stand still.
func begun(f func() error) (returned func() (bool, error)) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return func() (bool, error) {
		synctest.Wait()
		select {
		case err := <-done:
			return true, err
		default:
			return false, nil
		}
	}
}

func TestLeaderRunsAheadOfItsDisk(t *testing.T) {
	inAhead(t, func(t *testing.T, a *ahead, disk *slow, _ func(bool)) {
		for _, logs := range [][]*raft.Log{commandsAt(1), commandsAt(2, 3)} {
			if err := a.StoreLogs(logs); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is being written
		}
		var log raft.Log
		if err := a.GetLog(3, &log); err != nil || string(log.Data) != "3" {
			t.Errorf("entry 3 reads %q: %v", log.Data, err)
		}
		if err := a.GetLog(4, &log); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("entry 4: %v", err)
		}
		if got := a.reached(2); got != 0 {
			t.Errorf("with nothing on disk it reaches %d", got)
		}
		first, all := begun(func() error { return a.written(1) }), begun(func() error { return a.written(3) })
		if ended, _ := first(); ended {
			t.Error("entry 1 is said to be on disk")
		}
		disk.gate <- nil
		if ended, err := first(); !ended || err != nil {
			t.Errorf("entry 1 is on disk, which is not said: %v", err)
		}
		if ended, _ := all(); ended || a.reached(3) != 1 {
			t.Errorf("entry 3 is said to be on disk, or not how far it is: %d", a.reached(3))
		}
		disk.gate <- nil
		if ended, err := all(); !ended || err != nil || a.reached(3) != 3 {
			t.Errorf("all are on disk, which is not said: %v", err)
		}
		disk.has(t, 1, 2, 3)
	})
}

// What is not a leader's command is on disk when StoreLogs returns, behind all that
// ran ahead; and who does not lead any more answers for nothing that is not.
func TestOthersWaitForTheDisk(t *testing.T) {
	configuration := []*raft.Log{{Index: 2, Term: 1, Type: raft.LogConfiguration}}
	for name, c := range map[string]struct {
		leads bool
		what  func(a *ahead) error
		want  []uint64
	}{
		"members":           {true, func(a *ahead) error { return a.StoreLogs(configuration) }, []uint64{1, 2}},
		"a follower's":      {false, func(a *ahead) error { return a.StoreLogs(commandsAt(2)) }, []uint64{1, 2}},
		"a follower's read": {false, func(a *ahead) error { return a.GetLog(1, &raft.Log{}) }, []uint64{1}},
		"removal":           {false, func(a *ahead) error { return a.DeleteRange(1, 1) }, []uint64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			inAhead(t, func(t *testing.T, a *ahead, disk *slow, leads func(bool)) {
				if err := a.StoreLogs(commandsAt(1)); err != nil {
					t.Fatal(err)
				}
				leads(c.leads)
				returned := begun(func() error { return c.what(a) })
				for range c.want {
					if ended, err := returned(); ended {
						t.Fatalf("it did not wait for the disk: %v", err)
					}
					disk.gate <- nil
				}
				if ended, err := returned(); !ended || err != nil {
					t.Errorf("returned %v: %v", ended, err)
				}
				disk.has(t, c.want...)
			})
		})
	}
}

// A disk that is full keeps Raft from going on, so that another member may lead,
// and the state machine waiting until there is room or the member is to end.
func TestAheadOfAFullDisk(t *testing.T) {
	for name, ends := range map[string]bool{"room again": false, "end": true} {
		t.Run(name, func(t *testing.T) {
			inAhead(t, func(t *testing.T, a *ahead, disk *slow, _ func(bool)) {
				if err := a.StoreLogs(commandsAt(1)); err != nil {
					t.Fatal(err)
				}
				waits := begun(func() error { return a.written(1) })
				disk.gate <- ErrDiskFull
				if ended, err := waits(); ended {
					t.Fatalf("the state machine has not waited for room: %v", err)
				}
				if err := a.StoreLogs(commandsAt(2)); !errors.Is(err, ErrDiskFull) {
					t.Errorf("an entry behind one without room: %v", err)
				}
				if ends {
					closed := begun(a.close)
					if ended, err := waits(); !ended || !errors.Is(err, ErrDiskFull) {
						t.Errorf("the state machine waits on, or is told that the entry is on disk: %v", err)
					}
					time.Sleep(roomPause)
					disk.gate <- ErrDiskFull
					if ended, _ := closed(); !ended {
						t.Error("it does not end")
					}
					return
				}
				disk.gate <- nil
				if ended, err := waits(); !ended || err != nil {
					t.Errorf("with room again: %v, %v", ended, err)
				}
				if err := a.StoreLogs(commandsAt(2)); err != nil {
					t.Errorf("an entry with room again: %v", err)
				}
				disk.gate <- nil
				synctest.Wait()
				disk.has(t, 1, 2)
			})
		})
	}
}

// After an error that is not about room nothing is written any more.
func TestAheadOfABrokenDisk(t *testing.T) {
	inAhead(t, func(t *testing.T, a *ahead, disk *slow, _ func(bool)) {
		if err := a.StoreLogs(commandsAt(1)); err != nil {
			t.Fatal(err)
		}
		waits := begun(func() error { return a.written(1) })
		broken := errors.New("input/output error")
		disk.gate <- broken
		if ended, err := waits(); !ended || !errors.Is(err, broken) {
			t.Errorf("the state machine: %v, %v", ended, err)
		}
		if err := a.StoreLogs(commandsAt(2)); !errors.Is(err, broken) {
			t.Errorf("another entry: %v", err)
		}
		if err := a.close(); err != nil {
			t.Error(err)
		}
		disk.has(t)
	})
}

// What is committed by the others alone is not applied before it is on disk here.
func TestMachineWaitsForTheDisk(t *testing.T) {
	broken := errors.New("input/output error")
	m := newMachine(state.New(), func(error) {}, nil, func(index uint64) error {
		if index > 1 {
			return broken
		}
		return nil
	})
	for index, fails := range []bool{false, true} {
		log := &raft.Log{Index: uint64(index) + 1, Type: raft.LogCommand, Data: new(batch).command(time.Now())}
		if _, failed := m.Apply(log).(error); failed != fails || m.applied != 1 {
			t.Errorf("entry %d: failed %v, applied up to %d", log.Index, failed, m.applied)
		}
	}
}
