package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

func key(resource, namespace, name string) *storev1.Key {
	return &storev1.Key{Resource: resource, Namespace: namespace, Name: name}
}

func put(k *storev1.Key, value string, index ...string) *storev1.Operation {
	return &storev1.Operation{Key: k, Action: storev1.Action_ACTION_PUT, Value: []byte(value), Index: index}
}

func remove(k *storev1.Key) *storev1.Operation {
	return &storev1.Operation{Key: k, Action: storev1.Action_ACTION_DELETE}
}

func when(op *storev1.Operation, p storev1.Precondition, revision uint64) *storev1.Operation {
	op.Precondition, op.Revision = p, revision
	return op
}

func transaction(ops ...*storev1.Operation) *storev1.Transaction {
	return &storev1.Transaction{Operations: ops}
}

func command(txs ...*storev1.Transaction) *storev1.Command {
	return &storev1.Command{Transactions: txs}
}

// do applies one transaction and returns its result.
func do(s *state.Store, ops ...*storev1.Operation) *storev1.Result {
	return s.Apply(s.View().Index()+1, command(transaction(ops...)))[0]
}

func names(v state.View, resource, namespace string) []string {
	var all []string
	for e := range v.List(resource, namespace) {
		all = append(all, e.Key.Namespace+"/"+e.Key.Name)
	}
	return all
}

func TestPreconditions(t *testing.T) {
	there, absent := key("pods", "a", "there"), key("pods", "a", "absent")
	for _, c := range []struct {
		name   string
		op     *storev1.Operation
		failed int32
		found  uint64
	}{
		{"none", put(there, "x"), -1, 0},
		{"absent and is", when(put(absent, "x"), storev1.Precondition_PRECONDITION_ABSENT, 0), -1, 0},
		{"absent and is not", when(put(there, "x"), storev1.Precondition_PRECONDITION_ABSENT, 0), 0, 1},
		{"present and is", when(put(there, "x"), storev1.Precondition_PRECONDITION_PRESENT, 0), -1, 0},
		{"present and is not", when(remove(absent), storev1.Precondition_PRECONDITION_PRESENT, 0), 0, 0},
		{"revision and is", when(put(there, "x"), storev1.Precondition_PRECONDITION_REVISION, 1), -1, 0},
		{"revision and is another", when(put(there, "x"), storev1.Precondition_PRECONDITION_REVISION, 7), 0, 1},
		{"revision and is absent", when(put(absent, "x"), storev1.Precondition_PRECONDITION_REVISION, 1), 0, 0},
		{"unknown precondition", when(put(there, "x"), 99, 0), 0, 1},
		{"no name", put(key("pods", "a", ""), "x"), 0, 0},
		{"zero byte in a key", put(key("pods", "a\x00b", "c"), "x"), 0, 0},
		{"a key that is not UTF-8", put(key("pods", "a", "\xff"), "x"), 0, 0},
		{"an index value that is not UTF-8", &storev1.Operation{
			Key: there, Action: storev1.Action_ACTION_PUT, Index: []string{"a=b", "a=\xff"}}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := state.New()
			do(s, put(there, "first"))
			before := s.View().Revision()
			r := do(s, c.op)
			if r.FailedOperation != c.failed || r.Found != c.found {
				t.Fatalf("failed operation %d, found %d; want %d, %d", r.FailedOperation, r.Found, c.failed, c.found)
			}
			if c.failed >= 0 && s.View().Revision() != before {
				t.Fatal("a transaction that failed changed the state")
			}
			if r.Revision != s.View().Revision() {
				t.Fatalf("result says revision %d, state %d", r.Revision, s.View().Revision())
			}
		})
	}
}

// What cannot be written to a snapshot is not proposed.
func TestCheckRefusesWhatIsNotUTF8(t *testing.T) {
	for _, op := range []*storev1.Operation{
		put(key("pods", "a", "\xff"), "x"), put(key("pods", "\xff", "a"), "x"), put(key("\xff", "a", "a"), "x"),
		{Key: key("pods", "a", "a"), Action: storev1.Action_ACTION_PUT, Index: []string{"\xff"}},
	} {
		if state.Check(transaction(op)) == nil {
			t.Errorf("%q with index %q was not refused", op.GetKey(), op.GetIndex())
		}
		op.Key, op.Index = key("pöds", "ä", "ö"), []string{"ü"}
		if err := state.Check(transaction(op)); err != nil {
			t.Error(err)
		}
	}
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	s := state.New()
	r := do(s, put(key("pods", "a", "1"), "x"), when(put(key("pods", "a", "2"), "x"), storev1.Precondition_PRECONDITION_PRESENT, 0))
	if r.FailedOperation != 1 || s.View().Count("pods", "") != 0 || s.View().Revision() != 0 {
		t.Fatalf("half a transaction was applied: %v", r)
	}
	r = do(s, put(key("pods", "a", "1"), "x"), put(key("pods", "a", "1"), "y"))
	if r.FailedOperation != 1 {
		t.Fatalf("a key was changed twice in one transaction: %v", r)
	}
	r = do(s, put(key("pods", "a", "1"), "x"), remove(key("pods", "a", "none")), put(key("pods", "a", "2"), "x"))
	if !slices.Equal(r.Revisions, []uint64{1, 0, 2}) || r.Revision != 2 {
		t.Fatalf("revisions %v at %d", r.Revisions, r.Revision)
	}
}

func TestTransactionWithAnIDIsAppliedOnce(t *testing.T) {
	s := state.New()
	tx := &storev1.Transaction{Id: []byte("id-1"), Operations: []*storev1.Operation{
		when(put(key("pods", "a", "1"), "x"), storev1.Precondition_PRECONDITION_ABSENT, 0)}}
	first := s.Apply(1, command(tx, tx))
	again := s.Apply(2, command(tx))[0]
	if first[0].FailedOperation != -1 || !proto.Equal(first[0], first[1]) || !proto.Equal(first[0], again) {
		t.Fatalf("results differ: %v, %v, %v", first[0], first[1], again)
	}
	if s.View().Revision() != 1 || s.Transactions() != 1 {
		t.Fatalf("revision %d after %d transactions", s.View().Revision(), s.Transactions())
	}
}

// TestOutcomesOfAllShapes has transactions tried again, also after a restart: with
// ids as they are drawn and others, of few operations and of many.
func TestOutcomesOfAllShapes(t *testing.T) {
	s := state.New()
	var txs []*storev1.Transaction
	var results []*storev1.Result
	for operations := range 7 {
		for _, length := range []int{1, 15, 16, 17, 64} {
			tx := &storev1.Transaction{Id: bytes.Repeat([]byte{byte(1 + operations)}, length)}
			for i := range operations {
				op := put(key("pods", "a", fmt.Sprint(i)), "x")
				switch i {
				case 4:
					op.Action = storev1.Action_ACTION_UNSPECIFIED // a check alone
				case 5:
					when(op, storev1.Precondition_PRECONDITION_ABSENT, 0) // fails the second time
				}
				tx.Operations = append(tx.Operations, op)
			}
			txs = append(txs, tx)
			results = append(results, s.Apply(s.View().Index()+1, command(tx))[0])
		}
	}
	var snapshot bytes.Buffer
	if err := s.Snapshot(&snapshot); err != nil {
		t.Fatal(err)
	}
	restored := state.New()
	if err := restored.Restore(&snapshot); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*state.Store{"the same": s, "restored": restored} {
		before := s.View().Revision()
		for i, tx := range txs {
			if again := s.Apply(s.View().Index()+1, command(tx))[0]; !proto.Equal(again, results[i]) {
				t.Errorf("%s: %v, want %v", name, again, results[i])
			}
		}
		if s.View().Revision() != before || s.Transactions() != uint64(len(txs)) {
			t.Errorf("%s: something was applied twice", name)
		}
	}
}

func TestOutcomesAreForgottenInOrder(t *testing.T) {
	for _, id := range []string{"id-%d", "%016d"} {
		t.Run(id, func(t *testing.T) { outcomesAreForgotten(t, id) })
	}
}

func outcomesAreForgotten(t *testing.T, id string) {
	s := state.New()
	tx := func(n int) *storev1.Transaction {
		return &storev1.Transaction{Id: fmt.Appendf(nil, id, n), Operations: []*storev1.Operation{put(key("pods", "a", "1"), "x")}}
	}
	for n := range state.OutcomesKept + 1 {
		s.Apply(uint64(n+1), command(tx(n)))
	}
	at := s.View().Revision()
	s.Apply(1<<20, command(tx(1)))
	if s.View().Revision() != at {
		t.Fatal("an outcome was forgotten too early")
	}
	s.Apply(1<<20+1, command(tx(0)))
	if s.View().Revision() == at {
		t.Fatal("the oldest outcome is still remembered")
	}
}

func TestListsAreOrderedAndPaged(t *testing.T) {
	s := state.New()
	for _, k := range []*storev1.Key{
		key("pods", "b", "1"), key("pods", "a", "2"), key("pods", "a-b", "1"), key("pods", "a", "1"),
		key("pods.x", "a", "0"), key("nodes", "", "n1"), key("pod", "a", "9"),
	} {
		do(s, put(k, "v"))
	}
	v := s.View()
	if got, want := names(v, "pods", ""), []string{"a/1", "a/2", "a-b/1", "b/1"}; !slices.Equal(got, want) {
		t.Fatalf("list: %v, want %v", got, want)
	}
	if got, want := names(v, "pods", "a"), []string{"a/1", "a/2"}; !slices.Equal(got, want) {
		t.Fatalf("list of a namespace: %v, want %v", got, want)
	}
	if got := names(v, "nodes", ""); !slices.Equal(got, []string{"/n1"}) {
		t.Fatalf("list of cluster-scoped entries: %v", got)
	}
	var after []string
	for e := range v.ListAfter("pods", "", state.Key{Resource: "pods", Namespace: "a", Name: "1"}) {
		after = append(after, e.Key.Namespace+"/"+e.Key.Name)
	}
	if want := []string{"a/2", "a-b/1", "b/1"}; !slices.Equal(after, want) {
		t.Fatalf("list after a/1: %v, want %v", after, want)
	}
	if v.Count("pods", "") != 4 || v.Count("pods", "a") != 2 || v.Count("nodes", "") != 1 || v.Count("none", "") != 0 {
		t.Fatal("counts are wrong")
	}
}

func TestViewAt(t *testing.T) {
	s := state.NewWithLimits(state.Limits{Events: 3, Bytes: 1 << 20})
	for n := range 5 {
		do(s, put(key("pods", "a", fmt.Sprint(n)), "v"))
	}
	for revision, want := range map[uint64]error{0: state.ErrTooOld, 1: state.ErrTooOld, 2: nil, 3: nil, 4: nil, 5: nil, 6: state.ErrAhead} {
		v, err := s.ViewAt(revision)
		if !errors.Is(err, want) {
			t.Fatalf("view at %d: %v, want %v", revision, err, want)
		}
		if err == nil && v.Count("pods", "") != int(revision) {
			t.Fatalf("view at %d shows %d pods", revision, v.Count("pods", ""))
		}
	}
}

func restored(t interface{ Fatal(...any) }, s *state.Store) *state.Store {
	var first, second bytes.Buffer
	if err := s.Snapshot(&first); err != nil {
		t.Fatal(err)
	}
	written := bytes.Clone(first.Bytes())
	next := state.New()
	if err := next.Restore(&first); err != nil {
		t.Fatal(err)
	}
	if err := next.Snapshot(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, second.Bytes()) {
		t.Fatal("a restored state is written differently")
	}
	return next
}

func TestDamagedSnapshotLeavesTheStateAlone(t *testing.T) {
	s := state.New()
	for n := range 10 {
		do(s, put(key("pods", "a", fmt.Sprint(n)), "value"))
	}
	var whole bytes.Buffer
	if err := s.Snapshot(&whole); err != nil {
		t.Fatal(err)
	}
	target := state.New()
	do(target, put(key("nodes", "", "n"), "v"))
	for cut := range whole.Len() {
		if err := target.Restore(bytes.NewReader(whole.Bytes()[:cut])); err == nil {
			t.Fatalf("a snapshot cut at byte %d was restored", cut)
		}
	}
	if err := target.Restore(bytes.NewReader(append(whole.Bytes(), 0))); err == nil {
		t.Fatal("a snapshot with a byte too many was restored")
	}
	if target.View().Count("nodes", "") != 1 || target.View().Count("pods", "") != 0 {
		t.Fatal("a snapshot that could not be read changed the state")
	}
}

// What a new log begins with has the entries as they were, at a revision that is
// ahead of all that was seen.
func TestImageBegins(t *testing.T) {
	s := state.New()
	for _, name := range []string{"x", "y", "x"} {
		do(s, put(key("pods", "a", name), name))
	}
	var out bytes.Buffer
	image := s.View().Image().Begin(1000)
	if err := image.Write(&out); err != nil {
		t.Fatal(err)
	}
	var names []string
	revision, index, err := state.Scan(bytes.NewReader(out.Bytes()), func(e *state.Entry) {
		names = append(names, fmt.Sprint(e.Key.Name, e.CreateRevision, e.ModRevision))
	})
	if err != nil || revision != 1003 || index != 1 || image.Revision() != 1003 || image.Index() != 1 || image.Entries() != 2 || !slices.Equal(names, []string{"x1 3", "y2 2"}) {
		t.Errorf("revision %d, index %d, entries %v, %v", revision, index, names, err)
	}
	next := state.New()
	if err := next.Restore(&out); err != nil {
		t.Fatal(err)
	}
	if _, err := next.Watch("pods", "", "", 1002); !errors.Is(err, state.ErrTooOld) {
		t.Errorf("a watch from before: %v", err)
	}
	if _, err := next.ViewAt(3); !errors.Is(err, state.ErrTooOld) {
		t.Errorf("a list at a revision from before: %v", err)
	}
	if r := do(s, put(key("pods", "a", "z"), "z")); r.GetRevision() != 4 {
		t.Errorf("the old state went on at %v", r)
	}
}
