package state

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// A hint may not say that a name is behind one that it is before.
func TestHintsFollowNames(t *testing.T) {
	names := []string{"", "a", "ab", "web-", "web-0", "web-00000000", "web-00000000-0", "web-1", "web-\xff\xff\xff\xff\xff\xff\xff\xff\xff", "wec", "z"}
	for _, prefix := range []string{"", "a", "web-", "web-0", "x"} {
		for i, name := range names[1:] {
			before := names[i]
			if hint(before, prefix) > hint(name, prefix) {
				t.Errorf("%q skipped: %q has %x, %q behind it %x", prefix, before, hint(before, prefix), name, hint(name, prefix))
			}
		}
	}
}

// Entries come in the order of their names, whatever those have in common at
// first and later, and each is found.
func TestGroupsAreOrdered(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, name := range []func(i int) string{
		func(i int) string { return fmt.Sprintf("object-%07d", i) },
		func(int) string { return fmt.Sprintf("web-%x", r.Uint32()) },
		func(i int) string { return fmt.Sprint(r.IntN(1000)) },
		func(i int) string { return fmt.Sprintf("%c-%d", 'a'+rune(i/300), i) },
	} {
		g := newGroup("pods", "a")
		kept := map[string]*Entry{}
		for i := range 5000 {
			e := &Entry{Key: StoredKey{Name: name(i)}}
			if r.IntN(4) == 0 {
				g.delete(e)
				delete(kept, e.Key.Name)
			} else if prev := g.put(e); prev != kept[e.Key.Name] {
				t.Fatalf("put %q in place of %v, want %v", e.Key.Name, prev, kept[e.Key.Name])
			} else {
				kept[e.Key.Name] = e
			}
		}
		got := slices.Collect(g.from(""))
		if len(got) != len(kept) || !slices.IsSortedFunc(got, func(a, b *Entry) int { return cmp.Compare(a.Key.Name, b.Key.Name) }) {
			t.Fatalf("%d entries, want %d in their order", len(got), len(kept))
		}
		for _, e := range got {
			if found, _ := g.get(e.Key.Name); found != e || kept[e.Key.Name] != e {
				t.Fatalf("%q is %v, want %v", e.Key.Name, found, e)
			}
		}
	}
}

// What a command was read from may be written over once it is applied.
func TestApplyKeepsNothing(t *testing.T) {
	s := New()
	put := func(name string, n int) *storev1.Transaction {
		width := n % 2 * 100 // short values are not packed
		return &storev1.Transaction{Id: []byte(name), Operations: []*storev1.Operation{{
			Action: storev1.Action_ACTION_PUT,
			Key:    &storev1.Key{Resource: "pods", Namespace: "default", Name: name},
			Value:  fmt.Appendf(nil, "value %d of %*s", n, width, name),
			Index:  []string{"spec.nodeName=" + name},
		}}}
	}
	const objects, rounds = 101, 4 // enough for a vocabulary and a prefix
	for i := range objects * rounds {
		text, err := proto.Marshal(&storev1.Command{Transactions: []*storev1.Transaction{put(fmt.Sprint("object-", i%objects), i)}})
		if err != nil {
			t.Fatal(err)
		}
		c := storev1.CommandFromVTPool()
		if err := c.UnmarshalVTUnsafe(text); err != nil {
			t.Fatal(err)
		}
		s.Apply(uint64(i+1), c)
		c.ReturnToVTPool()
		for at := range text {
			text[at] = '!'
		}
	}
	n := 0
	for e := range s.View().List("pods", "default") {
		name, value := e.Key.Name, string(e.Value())
		var i int
		if _, err := fmt.Sscanf(value, "value %d of", &i); err != nil || value != string(put(name, i).Operations[0].Value) || name != fmt.Sprint("object-", i%objects) {
			t.Fatalf("%s: %q, %v", e.Key, value, err)
		}
		if !slices.Equal(e.Index(), []string{"spec.nodeName=" + name}) || e.Key.Plain() != (Key{"pods", "default", name}) {
			t.Fatalf("%s is indexed by %q", e.Key, e.Index())
		}
		n++
	}
	if n != objects || s.outcomes.oddIDs[0] != "object-0" {
		t.Errorf("%d objects, outcome of %q", n, s.outcomes.oddIDs[0])
	}
}
