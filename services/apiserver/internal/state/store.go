// Package state is what the Raft log is applied to: a map of keys to values
// with revisions, its recent past, and watches on it.
//
// It is pure. Apply depends on nothing but what was applied before, so every
// member that applies the same log holds the same state. Readers take an
// immutable View and never wait for a writer.
package state

import (
	"errors"
	"sync/atomic"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// ErrTooOld says that the asked revision is no longer remembered; the caller
// lists again.
var ErrTooOld = errors.New("revision is too old, list again")

// ErrAhead says that the asked revision has not been applied here yet.
var ErrAhead = errors.New("revision is ahead of this state")

// Store holds the state. Apply and Restore have one caller at a time; all else
// may be called by anybody at any time.
type Store struct {
	current  atomic.Pointer[snapshot]
	outcomes *outcomes
	history  *history
	past     past
	packer   *packer
}

// New returns an empty store at revision 0.
func New() *Store { return NewWithLimits(DefaultLimits()) }

// NewWithLimits returns an empty store that remembers as much as it is told to.
func NewWithLimits(limits Limits) *Store {
	s := &Store{outcomes: newOutcomes(), history: newHistory(limits), packer: newPacker()}
	s.current.Store(empty())
	return s
}

// View returns the latest state.
func (s *Store) View() View { return View{s.current.Load()} }

// Apply applies the command found at index of the log and returns a result for
// each of its transactions. It keeps nothing of the command, whose memory may be
// used for something else afterwards.
func (s *Store) Apply(index uint64, cmd *storev1.Command) []*storev1.Result {
	b := newBatch(s.current.Load(), s.packer)
	b.expects(len(cmd.GetTransactions()))
	results := make([]*storev1.Result, len(cmd.GetTransactions()))
	for i, tx := range cmd.GetTransactions() {
		results[i] = s.outcomes.once(tx.GetId(), func() *storev1.Result { return b.apply(tx) })
	}
	next := b.commit(index)
	s.current.Store(next)
	s.past.forget(s.history.append(next.revision, b.events))
	return results
}

// Transactions counts the transactions with an id that were ever applied. Of
// those, the last OutcomesKept are remembered.
func (s *Store) Transactions() uint64 { return s.outcomes.total.Load() }
