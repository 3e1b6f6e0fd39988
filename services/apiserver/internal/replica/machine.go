package replica

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/musterhq/muster/internal/failpoint"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// machine applies the log to the store. Raft calls it from one goroutine.
type machine struct {
	store *state.Store
	fail  func(error)              // called once, with what cannot be applied
	moved func(raft.Configuration) // called when the members change
	// written waits until the log is on disk here up to an index; see ahead.
	written func(index uint64) error
	err     error // set once the machine stands still

	mu         sync.Mutex
	applied    uint64
	changed    chan struct{}
	unrestored error // why a snapshot could not be restored
}

func newMachine(store *state.Store, fail func(error), moved func(raft.Configuration), written func(uint64) error) *machine {
	return &machine{store: store, fail: fail, moved: moved, written: written, changed: make(chan struct{})}
}

// Apply applies one entry.
func (m *machine) Apply(log *raft.Log) any { return m.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch applies entries and returns, for each that is a command, its
// results or an error. After an entry that cannot be applied nothing is: a
// member that went on would hold another state than the others.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	if m.err == nil {
		m.err = m.written(logs[len(logs)-1].Index) // who could not write them has said so
	}
	for i, log := range logs {
		if m.err == nil && log.Type == raft.LogCommand {
			responses[i] = m.command(log)
		}
		if m.err != nil {
			responses[i] = m.err
			continue
		}
		if log.Type == raft.LogConfiguration {
			m.moved(raft.DecodeConfiguration(log.Data))
		}
	}
	if m.err == nil {
		m.advance(logs[len(logs)-1].Index)
	}
	return responses
}

func (m *machine) command(log *raft.Log) (response any) {
	defer func() {
		if p := recover(); p != nil {
			m.halt(fmt.Errorf("apply log entry %d: panic: %v", log.Index, p))
			response = m.err
		}
	}()
	// Nothing is copied out of the log, and the store keeps nothing of the command.
	command := storev1.CommandFromVTPool()
	defer command.ReturnToVTPool()
	if err := command.UnmarshalVTUnsafe(log.Data); err != nil {
		m.halt(fmt.Errorf("%w: apply log entry %d: %w", ErrDamaged, log.Index, err))
		return m.err
	}
	failpoint.Hit("replica/apply/begin")
	results := m.store.Apply(log.Index, command)
	failpoint.Hit("replica/apply/published")
	return results
}

func (m *machine) halt(err error) {
	m.err = err
	m.fail(err)
}

// Snapshot takes the state as it is; it is written while the log goes on.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if m.err != nil {
		return nil, m.err
	}
	taken := image{m.store.Image()}
	failpoint.Hit("replica/snapshot/taken")
	return taken, nil
}

// Restore replaces the state by a snapshot, once all of it has been read and
// checked.
func (m *machine) Restore(from io.ReadCloser) error {
	defer from.Close()
	failpoint.Hit("replica/restore/begin")
	if err := m.restore(from); err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.unrestored = err
		return err
	}
	m.advance(m.store.View().Index())
	failpoint.Hit("replica/restore/done")
	return nil
}

func (m *machine) restore(from io.Reader) error {
	buffered := bufio.NewReader(from)
	begin, err := buffered.Peek(3)
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	if _, bare := snapshotfile.Starts(begin); bare {
		return m.store.Restore(buffered)
	}
	stream, err := snapshotfile.NewReader(buffered)
	if err != nil {
		return err
	}
	return m.store.Restore(stream)
}

func (m *machine) restoring() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unrestored
}

func (m *machine) advance(to uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if to > m.applied {
		m.applied = to
		close(m.changed)
		m.changed = make(chan struct{})
	}
}

// wait returns once the entry at index, a command or a configuration, has been
// applied.
func (m *machine) wait(ctx context.Context, index uint64) error {
	for {
		m.mu.Lock()
		applied, changed := m.applied, m.changed
		m.mu.Unlock()
		if applied >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for log entry %d, at %d: %w", index, applied, context.Cause(ctx))
		}
	}
}

// image is a snapshot about to be written.
type image struct{ *state.Image }

// Persist writes the image.
func (i image) Persist(to raft.SnapshotSink) error {
	header := snapshotfile.Header{Revision: i.Revision(), Index: i.Index(), Entries: i.Entries(), Time: time.Now().UTC()}
	if err := snapshotfile.Write(to, header, i.Write); err != nil {
		_ = to.Cancel()
		return err
	}
	return to.Close()
}

// Release has nothing to do: an image is only memory.
func (i image) Release() {}
