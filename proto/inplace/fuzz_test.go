package inplace_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// What is decoded in place is what protobuf's own library decodes, where both do: that
// refuses texts that are no UTF-8, and takes a field of another wire type than it has
// for one that it does not know.
func FuzzCodec(f *testing.F) {
	codec := newCodec()
	all := messages()[:7]
	for i, m := range all {
		wire, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, byte(i))
	}
	f.Fuzz(func(t *testing.T, wire []byte, kind byte) {
		kindOf := all[int(kind)%len(all)].ProtoReflect()
		ours, theirs := kindOf.New().Interface(), kindOf.New().Interface()
		err := codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Clone(wire))}, ours)
		refused := proto.Unmarshal(wire, theirs)
		if err != nil && refused == nil && !strings.Contains(err.Error(), "wrong wireType") {
			t.Fatalf("%T: %v", ours, err)
		}
		if err != nil || refused != nil {
			return
		}
		if got, want := knownOf(t, ours), knownOf(t, theirs); !proto.Equal(got, want) {
			t.Errorf("%T\n%v\nprotobuf:\n%v", ours, got, want)
		}
		data, err := codec.Marshal(ours)
		if err != nil {
			t.Fatal(err)
		}
		again := kindOf.New().Interface()
		if err := proto.Unmarshal(data.Materialize(), again); err != nil || !proto.Equal(knownOf(t, again), knownOf(t, theirs)) {
			t.Errorf("%T: %v, encoded:\n%v\nwas\n%v", ours, err, again, theirs)
		}
	})
}

// knownOf is a message without fields that it does not know, whose tags may be encoded
// in several ways.
func knownOf(t *testing.T, m proto.Message) proto.Message {
	t.Helper()
	out := m.ProtoReflect().New().Interface()
	wire, err := proto.Marshal(m)
	if err == nil {
		err = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(wire, out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
