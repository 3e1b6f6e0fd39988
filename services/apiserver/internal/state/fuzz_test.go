package state_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// seedCommand is a command with one of everything.
func seedCommand() *storev1.Command {
	odd := transaction(put(key("pods", "b", "1"), "v", "x=y"), remove(key("pods", "a", "1")))
	odd.Id = []byte("an id of another length")
	due := put(key("leases", "a", "l"), "v")
	due.ExpiresUnix = 5
	return command(
		transaction(put(key("pods", "a", "1"), "value", "spec.nodeName=n1")),
		transaction(when(put(key("pods", "a", "1"), "again"), storev1.Precondition_PRECONDITION_REVISION, 1)),
		odd, transaction(due),
		&storev1.Transaction{Id: []byte("0123456789abcdef"), Expire: &storev1.Expire{UntilUnix: 9, Limit: 1}},
	)
}

// Whatever stands in the log, members apply it alike, each transaction is answered, one
// that failed changed nothing, and a snapshot is the state that it was taken of.
func FuzzCommand(f *testing.F) {
	seed, err := proto.Marshal(seedCommand())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, seed)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		one, other := state.New(), state.New()
		for i, data := range [][]byte{first, second} {
			cmd := &storev1.Command{}
			if proto.Unmarshal(data, cmd) != nil {
				return
			}
			before := one.View().Revision()
			results := one.Apply(uint64(i+1), cmd)
			if len(results) != len(cmd.GetTransactions()) {
				t.Fatalf("%d transactions, %d results", len(cmd.GetTransactions()), len(results))
			}
			checkResults(t, results, before, one.View().Revision())
			for j, again := range other.Apply(uint64(i+1), cmd) {
				if !proto.Equal(again, results[j]) {
					t.Errorf("transaction %d: %v, on another member %v", j, results[j], again)
				}
			}
		}
		image := snapshot(t, one)
		if !bytes.Equal(image, snapshot(t, other)) {
			t.Error("two members have different states")
		}
		if !bytes.Equal(image, snapshot(t, restored(t, one))) {
			t.Error("what was restored is another state")
		}
	})
}

// checkResults looks that the revision grew by no more than what succeeded.
func checkResults(t *testing.T, results []*storev1.Result, before, after uint64) {
	t.Helper()
	changed := false
	for _, r := range results {
		changed = changed || r.GetFailedOperation() < 0
	}
	if !changed && after != before {
		t.Errorf("nothing succeeded, and the revision is %d after %d", after, before)
	}
}

func snapshot(t *testing.T, s *state.Store) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.Snapshot(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is no snapshot is refused, and what is taken is the same when it is taken again.
func FuzzRestore(f *testing.F) {
	s := state.New()
	s.Apply(1, seedCommand())
	var seed bytes.Buffer
	if err := s.Snapshot(&seed); err != nil {
		f.Fatal(err)
	}
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, image []byte) {
		s := state.New()
		s.Apply(1, seedCommand())
		was := s.View().Revision()
		if s.Restore(bytes.NewReader(image)) != nil {
			if s.View().Revision() != was {
				t.Error("a snapshot that was refused changed the state")
			}
			return
		}
		if again := snapshot(t, s); !bytes.Equal(again, snapshot(t, restored(t, s))) {
			t.Errorf("%d bytes were taken, and are not the same when taken again", len(again))
		}
	})
}
