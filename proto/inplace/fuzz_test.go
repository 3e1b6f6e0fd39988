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
		if !proto.Equal(ours, theirs) {
			t.Errorf("%T\n%v\nprotobuf:\n%v", ours, ours, theirs)
		}
		data, err := codec.Marshal(ours)
		if err != nil {
			t.Fatal(err)
		}
		again := kindOf.New().Interface()
		if err := proto.Unmarshal(data.Materialize(), again); err != nil || !proto.Equal(again, theirs) {
			t.Errorf("%T: %v, encoded:\n%v\nwas\n%v", ours, err, again, theirs)
		}
	})
}
