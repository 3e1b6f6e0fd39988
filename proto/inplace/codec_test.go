package inplace_test

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/musterhq/muster/proto/inplace"
	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

func newCodec() encoding.CodecV2 {
	return inplace.Codec((*apiv1.ExchangeRequest)(nil), (*apiv1.ExchangeResponse)(nil), (*apiv1.WatchResponse)(nil),
		(*clusterv1.ForwardRequest)(nil), (*clusterv1.ForwardResponse)(nil))
}

// messages are of all sizes that buffers are taken from different pools for.
func messages() []proto.Message {
	all := []proto.Message{
		&apiv1.ExchangeRequest{}, &apiv1.ExchangeResponse{Closing: true},
		&apiv1.ExchangeRequest{Calls: []*apiv1.Call{{Id: 7, TimeoutNanos: 5, Request: &apiv1.Call_Get{Get: &apiv1.GetRequest{
			Key: &apiv1.ObjectKey{Type: "pods", Name: "a"}}}}}},
		&apiv1.ExchangeResponse{Answers: []*apiv1.Answer{{Id: 7, Failure: &apiv1.Failure{
			Code: 5, Message: "not here", Details: []*anypb.Any{{TypeUrl: "why"}}}}}},
		&clusterv1.ForwardRequest{Id: 3, Question: &clusterv1.ForwardRequest_ReadIndex{ReadIndex: &clusterv1.ReadIndex{}}},
		&clusterv1.ForwardResponse{Id: 3, Code: 10, Message: "no leader", Index: 1 << 40},
		&clusterv1.ForwardResponse{Id: 4, Results: []*storev1.Result{
			{Revision: 9, FailedOperation: -1, Revisions: []uint64{9, 1 << 50, 0}}, {Revision: 10, Found: 4}}},
		&apiv1.ListResponse{ResourceVersion: "1"}, // gRPC's codec has it
	}
	for _, size := range []int{1 << 10, 5 << 10, 1 << 20, 3 << 20} {
		object := &anypb.Any{TypeUrl: "a/b", Value: bytes.Repeat([]byte{1, 2, 3, 4}, size/4)}
		all = append(all,
			&apiv1.ExchangeRequest{Calls: []*apiv1.Call{{Spare: true, Request: &apiv1.Call_Operation{Operation: &apiv1.Operation{
				Request: &apiv1.Operation_Update{Update: &apiv1.UpdateRequest{Object: object}}}}}}},
			&apiv1.ExchangeResponse{Answers: []*apiv1.Answer{{Id: 1, Object: object, Spared: true}, {Id: 2, Object: object, Gone: true}}},
			&apiv1.WatchResponse{Events: []*apiv1.WatchEvent{
				{Type: apiv1.EventType_EVENT_TYPE_DELETED, ResourceVersion: "12", Object: object},
				{Type: apiv1.EventType_EVENT_TYPE_BOOKMARK, ResourceVersion: "13", InitialEventsEnd: true}}},
			&clusterv1.ForwardRequest{Id: 5, Question: &clusterv1.ForwardRequest_Propose{
				Propose: &clusterv1.Proposal{Transactions: object.GetValue(), Count: 3}}})
	}
	return all
}

// Either codec reads what the other one writes, whatever becomes of the buffers.
func TestCodecIsProtobufs(t *testing.T) {
	ours, plain := newCodec(), encoding.GetCodecV2(grpcproto.Name)
	for _, pair := range [][2]encoding.CodecV2{{ours, ours}, {ours, plain}, {plain, ours}} {
		for _, m := range messages() {
			data, err := pair[0].Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			wire := data.Materialize()
			data.Free()
			got := m.ProtoReflect().New().Interface()
			received := append([]byte(nil), wire...)
			if err := pair[1].Unmarshal(mem.BufferSlice{mem.SliceBuffer(received)}, got); err != nil {
				t.Fatal(err)
			}
			clear(received) // as gRPC does when it uses a buffer again
			if !proto.Equal(m, got) {
				t.Errorf("%T of %d bytes was not read as it was written", m, len(wire))
			}
		}
	}
}

func TestCodecRefusesWhatIsCutOff(t *testing.T) {
	codec := newCodec()
	for _, m := range messages()[2:7] {
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := m.ProtoReflect().New().Interface()
		if codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(wire[:len(wire)-1])}, got) == nil {
			t.Errorf("%T without its last byte was taken", m)
		}
	}
}
