// Package objectstest runs the objects service in memory, for tests of what is
// built on it.
package objectstest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Replica is a cluster of one that keeps nothing: the real state, without Raft.
type Replica struct {
	store *state.Store

	mu    sync.Mutex
	index uint64
	// BeforeApply is called, if set, before each transaction is applied.
	BeforeApply func()
	// BeforeRead is called, if set, before each read of the latest state: what it
	// writes is what this member did not have yet.
	BeforeRead func()
	// Leaderless has reads wait until their context ends.
	Leaderless bool
}

// NewReplica returns an empty Replica.
func NewReplica() *Replica { return &Replica{store: state.New()} }

// Forget makes the replica remember little of its past from now on: it is to be
// called before anything is stored.
func (r *Replica) Forget() {
	r.store = state.NewWithLimits(state.Limits{Events: 4, Bytes: 1 << 20})
}

// Apply applies a transaction at once.
func (r *Replica) Apply(_ context.Context, tx *storev1.Transaction) (*storev1.Result, error) {
	if err := state.Check(tx); err != nil {
		return nil, err
	}
	if size := tx.SizeVT(); size > replica.TransactionMax {
		return nil, fmt.Errorf("%w: %d bytes", replica.ErrInvalid, size)
	}
	if f := r.BeforeApply; f != nil {
		r.BeforeApply = nil // What it does itself is not interrupted.
		f()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index++
	return r.store.Apply(r.index, &storev1.Command{Transactions: []*storev1.Transaction{tx}})[0], nil
}

// ApplyAll applies transactions, one after the other.
func (r *Replica) ApplyAll(ctx context.Context, txs []*storev1.Transaction) []replica.Outcome {
	outcomes := make([]replica.Outcome, len(txs))
	for i, tx := range txs {
		outcomes[i].Result, outcomes[i].Err = r.Apply(ctx, tx)
	}
	return outcomes
}

// ReadNow returns the latest state unless a test has something happen before.
func (r *Replica) ReadNow() (state.View, bool) {
	return r.store.View(), !r.Leaderless && r.BeforeRead == nil
}

// Read returns the latest state.
func (r *Replica) Read(ctx context.Context) (state.View, error) {
	if r.Leaderless {
		<-ctx.Done()
		return state.View{}, fmt.Errorf("read: %w: %w", replica.ErrNoLeader, context.Cause(ctx))
	}
	if f := r.BeforeRead; f != nil {
		r.BeforeRead = nil // What it does itself is not interrupted.
		f()
	}
	return r.store.View(), nil
}

// Store returns the state.
func (r *Replica) Store() *state.Store { return r.store }

// New returns a service over an empty cluster with the namespace "default".
func New(t testing.TB) (*objects.Service, *Replica) {
	t.Helper()
	return NewOver(t, NewReplica())
}

// NewOver is New over a replica.
func NewOver(t testing.TB, r *Replica) (*objects.Service, *Replica) {
	t.Helper()
	s, err := objects.New(objects.Config{Kinds: catalog.New(registry.Options{}), Replica: r})
	if err != nil {
		t.Fatal(err)
	}
	k, _ := s.Kinds().ByKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := s.Create(As(pki.AdminIdentity()), objects.Target{Kind: k}, ns, false); err != nil {
		t.Fatal(err)
	}
	return s, r
}

// As returns a context whose caller is the identity.
func As(id pki.Identity) context.Context {
	return access.WithUser(context.Background(), access.User{Name: id.User, Groups: id.Groups})
}
