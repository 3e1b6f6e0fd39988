package state_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// model is the plainest store there can be.
type model struct {
	revision uint64
	entries  map[state.Key]modelEntry
	results  map[string]*storev1.Result
}

type modelEntry struct {
	value           string
	created, change uint64
}

func (m *model) apply(tx *storev1.Transaction) *storev1.Result {
	if r, ok := m.results[string(tx.Id)]; ok {
		return r
	}
	r := &storev1.Result{FailedOperation: -1}
	for i, op := range tx.Operations {
		e, ok := m.entries[state.Key{Resource: op.Key.Resource, Namespace: op.Key.Namespace, Name: op.Key.Name}]
		bad := op.Precondition == storev1.Precondition_PRECONDITION_ABSENT && ok ||
			op.Precondition == storev1.Precondition_PRECONDITION_PRESENT && !ok ||
			op.Precondition == storev1.Precondition_PRECONDITION_REVISION && (!ok || e.change != op.Revision)
		if bad {
			r.FailedOperation, r.Found = int32(i), e.change
			break
		}
	}
	if r.FailedOperation < 0 {
		for _, op := range tx.Operations {
			r.Revisions = append(r.Revisions, m.act(op))
		}
	}
	r.Revision = m.revision
	if len(tx.Id) > 0 {
		m.results[string(tx.Id)] = r
	}
	return r
}

func (m *model) act(op *storev1.Operation) uint64 {
	k := state.Key{Resource: op.Key.Resource, Namespace: op.Key.Namespace, Name: op.Key.Name}
	e, ok := m.entries[k]
	switch {
	case op.Action == storev1.Action_ACTION_PUT:
		m.revision++
		if !ok {
			e.created = m.revision
		}
		m.entries[k] = modelEntry{string(op.Value), e.created, m.revision}
		return m.revision
	case op.Action == storev1.Action_ACTION_DELETE && ok:
		m.revision++
		delete(m.entries, k)
		return m.revision
	}
	return 0
}

func drawTransaction(t *rapid.T, revision uint64) *storev1.Transaction {
	tx := &storev1.Transaction{}
	if rapid.Bool().Draw(t, "hasID") {
		tx.Id = []byte(rapid.StringMatching("[ab][0-9]").Draw(t, "id"))
	}
	used := map[string]bool{}
	for range rapid.IntRange(0, 4).Draw(t, "operations") {
		op := &storev1.Operation{
			Key: key(rapid.SampledFrom([]string{"pods", "pods.x", "nodes"}).Draw(t, "resource"),
				rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "namespace"),
				rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "name")),
			Precondition: storev1.Precondition(rapid.IntRange(0, 3).Draw(t, "precondition")),
			Revision:     rapid.Uint64Range(0, revision).Draw(t, "revision"),
			Action:       storev1.Action(rapid.IntRange(0, 2).Draw(t, "action")),
			Value:        []byte(rapid.StringN(0, 4, -1).Draw(t, "value")),
			Index:        rapid.SliceOfN(rapid.SampledFrom([]string{"n=1", "n=2"}), 0, 2).Draw(t, "index"),
		}
		if used[op.Key.String()] {
			continue
		}
		used[op.Key.String()] = true
		tx.Operations = append(tx.Operations, op)
	}
	return tx
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := state.New()
		m := &model{entries: map[state.Key]modelEntry{}, results: map[string]*storev1.Result{}}
		for i := range rapid.IntRange(1, 20).Draw(t, "commands") {
			cmd := command()
			for range rapid.IntRange(0, 3).Draw(t, "transactions") {
				cmd.Transactions = append(cmd.Transactions, drawTransaction(t, s.View().Revision()))
			}
			for j, got := range s.Apply(uint64(i+1), cmd) {
				if want := m.apply(cmd.Transactions[j]); !proto.Equal(got, want) {
					t.Fatalf("result %v, want %v", got, want)
				}
			}
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
				s = restored(t, s)
			}
			compare(t, s.View(), m)
		}
	})
}

func compare(t *rapid.T, v state.View, m *model) {
	if v.Revision() != m.revision {
		t.Fatalf("revision %d, want %d", v.Revision(), m.revision)
	}
	counts, seen := map[[2]string]int{}, 0
	for e := range v.All() {
		seen++
		want, ok := m.entries[e.Key.Plain()]
		if !ok || string(e.Value()) != want.value || e.CreateRevision != want.created || e.ModRevision != want.change {
			t.Fatalf("entry %v, want %v", e, want)
		}
		counts[[2]string{e.Key.Resource, ""}]++
		if e.Key.Namespace != "" {
			counts[[2]string{e.Key.Resource, e.Key.Namespace}]++
		}
		if got, ok := v.Get(e.Key.Plain()); !ok || got != e {
			t.Fatalf("get %s returns another entry", e.Key)
		}
	}
	if seen != len(m.entries) {
		t.Fatalf("%d entries, want %d", seen, len(m.entries))
	}
	for _, resource := range []string{"pods", "pods.x", "nodes"} {
		for _, namespace := range []string{"", "a", "b"} {
			if got, want := v.Count(resource, namespace), counts[[2]string{resource, namespace}]; got != want {
				t.Fatalf("count of %s in %q: %d, want %d", resource, namespace, got, want)
			}
		}
	}
}
