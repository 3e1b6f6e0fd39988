package replica

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

func encode(t testing.TB, names ...string) *proposal {
	t.Helper()
	p := &proposal{}
	for _, name := range names {
		tx := &storev1.Transaction{Id: []byte(name), Operations: []*storev1.Operation{{
			Key: &storev1.Key{Resource: "pods", Name: name}, Action: storev1.Action_ACTION_PUT, Value: []byte("v"),
		}}}
		if err := p.append(tx, proto.Size(tx)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// The command of a batch holds the transactions of its proposals and the time,
// and is the batch's only writer of its bytes: the log keeps one try's while the
// next is made.
func TestCommandOfABatch(t *testing.T) {
	b := &batch{}
	for _, p := range []*proposal{encode(t, "a", "b"), encode(t), encode(t, "c")} {
		b.add(p)
	}
	first := b.command(time.Unix(0, 1))
	second := b.command(time.Unix(0, 1<<60))
	for at, data := range map[int64][]byte{1: first, 1 << 60: second} {
		command := &storev1.Command{}
		if err := proto.Unmarshal(data, command); err != nil {
			t.Fatal(err)
		}
		names := ""
		for _, tx := range command.GetTransactions() {
			names += tx.GetOperations()[0].GetKey().GetName()
		}
		if names != "abc" || len(command.GetTransactions()) != b.count || command.GetTimeUnixNano() != at {
			t.Errorf("command %v", command)
		}
	}
	b.keep(func(p *proposal) bool { return p.count == 1 })
	if err := checkEncoded(b.transactions(), 1); err != nil || b.count != 1 || b.bytes != len(b.transactions()) {
		t.Errorf("what is kept is %d transactions of %d bytes: %v", b.count, b.bytes, err)
	}
}

// What another member encodes is joined to what others do, so it must be whole.
func TestCheckEncoded(t *testing.T) {
	whole := encode(t, "a", "b").encoded
	withTime, err := proto.Marshal(&storev1.Command{TimeUnixNano: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		encoded []byte
		count   int
		fails   bool
	}{
		"whole":          {whole, 2, false},
		"nothing":        {nil, 0, false},
		"too few":        {whole, 3, true},
		"too many":       {whole, 1, true},
		"cut":            {whole[:len(whole)-1], 2, true},
		"another field":  {append(withTime, whole...), 2, true},
		"no tag":         {[]byte{0xff}, 1, true},
		"negative count": {whole, -1, true},
	} {
		if err := checkEncoded(c.encoded, c.count); errors.Is(err, errMalformed) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}
