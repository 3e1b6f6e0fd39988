package replica

import (
	"testing"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// What another member proposes is malformed, or a command of as many transactions as
// it says, or one that no member can read: a member is believed no less than Raft
// believes it.
func FuzzProposal(f *testing.F) {
	f.Add([]byte{}, 0)
	for _, names := range [][]string{{"a"}, {"a", "b", "c"}} {
		p := encode(f, names...)
		f.Add(p.encoded, p.count)
		f.Add(p.encoded[:len(p.encoded)-1], p.count)
	}
	f.Fuzz(func(t *testing.T, encoded []byte, count int) {
		if checkEncoded(encoded, count) != nil {
			return
		}
		cmd := &storev1.Command{}
		if proto.Unmarshal(encoded, cmd) == nil && (len(cmd.GetTransactions()) != count || cmd.GetTimeUnixNano() != 0) {
			t.Errorf("%d transactions at %d, said to be %d", len(cmd.GetTransactions()), cmd.GetTimeUnixNano(), count)
		}
	})
}
