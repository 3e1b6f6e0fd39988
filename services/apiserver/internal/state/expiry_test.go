package state_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// expiring is an operation whose entry is past its time at a time.
func expiring(at int64, op *storev1.Operation) *storev1.Operation {
	op.ExpiresUnix = at
	return op
}

func expire(until int64, limit uint32) *storev1.Transaction {
	return &storev1.Transaction{Expire: &storev1.Expire{UntilUnix: until, Limit: limit}}
}

// sweep applies one Expire and returns the names of what it removed, in order.
func sweep(t *testing.T, s *state.Store, until int64, limit uint32) string {
	t.Helper()
	before := s.View().Revision()
	w := watch(t, s, "events", "", "", before)
	r := s.Apply(s.View().Index()+1, command(expire(until, limit)))[0]
	if r.FailedOperation != -1 || r.Revision != s.View().Revision() {
		t.Fatalf("result %v at revision %d", r, s.View().Revision())
	}
	var removed string
	for left := r.Revision - before; left > 0; {
		events, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Entry != nil {
				t.Fatalf("%s was put, not removed", e.Entry.Key)
			}
			removed += e.Prev.Key.Name
			left--
		}
	}
	return removed
}

func TestExpire(t *testing.T) {
	s := state.New()
	for name, at := range map[string]int64{"a": 30, "b": 10, "c": 20, "d": 0, "e": 20} {
		do(s, expiring(at, put(key("events", "x", name), "v")))
	}
	if next, ok := s.View().NextExpiry(); next != 10 || !ok {
		t.Errorf("the next expires at %d, %v", next, ok)
	}
	if got := sweep(t, s, 9, 10); got != "" {
		t.Errorf("too early: %s", got)
	}
	if got := sweep(t, s, 20, 0); got != "" {
		t.Errorf("beyond a limit of none: %s", got)
	}
	if got := sweep(t, s, 20, 2); got != "bc" {
		t.Errorf("the first two due: %s", got)
	}
	do(s, expiring(40, put(key("events", "x", "e"), "written again")))
	do(s, remove(key("events", "x", "a")))
	if got := sweep(t, s, 39, 10); got != "" {
		t.Errorf("removed, though written again or gone: %s", got)
	}
	do(s, put(key("events", "x", "e"), "for good"))
	if got := sweep(t, s, 1<<62, 10); got != "" {
		t.Errorf("removed, though it never expires: %s", got)
	}
	if next, ok := s.View().NextExpiry(); ok {
		t.Errorf("something expires at %d", next)
	}
	if got := names(s.View(), "events", ""); fmt.Sprint(got) != "[x/d x/e]" || s.View().Count("events", "x") != 2 {
		t.Errorf("left: %v, counted %d", got, s.View().Count("events", "x"))
	}
}

func TestExpiryIsChecked(t *testing.T) {
	both := expire(10, 1)
	both.Operations = []*storev1.Operation{put(key("events", "x", "a"), "v")}
	for name, tx := range map[string]*storev1.Transaction{
		"expire with operations": both,
		"time before 1970":       transaction(expiring(-1, put(key("events", "x", "a"), "v"))),
	} {
		s := state.New()
		if err := state.Check(tx); err == nil {
			t.Errorf("%s: not refused", name)
		}
		if r := s.Apply(1, command(tx))[0]; r.FailedOperation != 0 || s.View().Revision() != 0 {
			t.Errorf("%s: applied nevertheless: %v", name, r)
		}
	}
	if err := state.Check(expire(10, 1)); err != nil {
		t.Error(err)
	}
}

// expiryModel says what a state of expiring entries holds.
type expiryModel map[state.Key]int64

func (m expiryModel) apply(tx *storev1.Transaction) {
	for _, op := range tx.Operations {
		k := state.Key{Resource: op.Key.Resource, Namespace: op.Key.Namespace, Name: op.Key.Name}
		if op.Action == storev1.Action_ACTION_PUT {
			m[k] = op.ExpiresUnix
		} else {
			delete(m, k)
		}
	}
	due := slices.SortedFunc(maps.Keys(m), func(a, b state.Key) int {
		return cmp.Or(cmp.Compare(m[a], m[b]), a.Compare(b))
	})
	due = slices.DeleteFunc(due, func(k state.Key) bool { return m[k] == 0 || m[k] > tx.GetExpire().GetUntilUnix() })
	for _, k := range due[:min(len(due), int(tx.GetExpire().GetLimit()))] {
		delete(m, k)
	}
}

func (m expiryModel) next() (at int64, ok bool) {
	for _, e := range m {
		if e != 0 && (!ok || e < at) {
			at, ok = e, true
		}
	}
	return at, ok
}

func drawExpiry(t *rapid.T) *storev1.Transaction {
	if rapid.IntRange(0, 2).Draw(t, "expire") == 0 {
		return expire(rapid.Int64Range(-1, 8).Draw(t, "until"), rapid.Uint32Range(0, 3).Draw(t, "limit"))
	}
	k := key(rapid.SampledFrom([]string{"events", "leases"}).Draw(t, "resource"),
		rapid.SampledFrom([]string{"", "a"}).Draw(t, "namespace"), rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "name"))
	if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
		return transaction(remove(k))
	}
	return transaction(expiring(rapid.Int64Range(0, 6).Draw(t, "at"), put(k, "v")))
}

// Members that apply one log hold one state, as the model says, whatever
// snapshots they were restored from on the way.
func TestMembersExpireTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model, one, other := expiryModel{}, state.New(), state.New()
		for i := range rapid.IntRange(1, 30).Draw(t, "commands") {
			cmd := command()
			for range rapid.IntRange(1, 3).Draw(t, "transactions") {
				cmd.Transactions = append(cmd.Transactions, drawExpiry(t))
			}
			one.Apply(uint64(i+1), cmd)
			other.Apply(uint64(i+1), cmd)
			for _, tx := range cmd.Transactions {
				model.apply(tx)
			}
			if rapid.IntRange(0, 4).Draw(t, "restart") == 0 {
				other = restored(t, other)
			}
			sameAsModel(t, one, model)
			sameAsModel(t, other, model)
			if !bytes.Equal(written(t, one), written(t, other)) {
				t.Fatal("the members differ")
			}
		}
	})
}

func sameAsModel(t *rapid.T, s *state.Store, model expiryModel) {
	got := expiryModel{}
	for e := range s.View().All() {
		got[e.Key.Plain()] = e.Expires
	}
	if !maps.Equal(got, model) {
		t.Fatalf("holds %v, want %v", got, model)
	}
	at, ok := s.View().NextExpiry()
	if wantAt, want := model.next(); at != wantAt || ok != want {
		t.Fatalf("next expiry %d, %v; want %d, %v", at, ok, wantAt, want)
	}
}

func written(t *rapid.T, s *state.Store) []byte {
	var out bytes.Buffer
	if err := s.Snapshot(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
