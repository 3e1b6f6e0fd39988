package exchange

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Codec returns gRPC's codec for protobuf, but for the messages of Exchange, which
// generated code encodes, and decodes in place: what a decoded message holds is
// part of what was received, which nobody writes to again. Strings are not checked
// to be UTF-8.
func Codec() encoding.CodecV2 {
	pool, err := mem.NewBinaryTieredBufferPool(messageTiers...)
	if err != nil {
		panic(err) // 2^20 is no possible size
	}
	return codec{CodecV2: encoding.GetCodecV2(proto.Name), pool: pool}
}

// messageTiers are the exponents of the sizes of buffers for messages. A buffer is
// cleared as a whole before it is used: where gRPC has 1 MiB for anything above 32
// KiB, that takes longer than to encode the message.
var messageTiers = []uint8{11, 12, 13, 14, 15, 16, 17, 18, 19, 20}

type codec struct {
	encoding.CodecV2
	pool mem.BufferPool
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *apiv1.ExchangeRequest:
		return c.marshal(m)
	case *apiv1.ExchangeResponse:
		return c.marshal(m)
	}
	return c.CodecV2.Marshal(v)
}

// encoder is what vtprotobuf generates.
type encoder interface {
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
}

func (c codec) marshal(m encoder) (mem.BufferSlice, error) {
	size, pool := m.SizeVT(), c.pool
	if mem.IsBelowBufferPoolingThreshold(size) {
		pool = mem.NopBufferPool{}
	}
	buffer := pool.Get(size)
	if _, err := m.MarshalToSizedBufferVT(*buffer); err != nil {
		pool.Put(buffer)
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	return mem.BufferSlice{mem.NewBuffer(buffer, pool)}, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *apiv1.ExchangeRequest:
		m.Reset()
		return m.UnmarshalVTUnsafe(data.Materialize())
	case *apiv1.ExchangeResponse:
		m.Reset()
		return m.UnmarshalVTUnsafe(data.Materialize())
	}
	return c.CodecV2.Unmarshal(data, v)
}
