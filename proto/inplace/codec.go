// Package inplace is gRPC's codec for protobuf, but for a few messages that are large
// or many: generated code (vtprotobuf) encodes them, and decodes them in place.
package inplace

import (
	"fmt"
	"reflect"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Message is what vtprotobuf generates for a message.
type Message interface {
	Reset()
	SizeVT() int
	MarshalToSizedBufferVT(data []byte) (int, error)
	UnmarshalVTUnsafe(data []byte) error
}

// Codec returns a codec that is its own for messages of the types of some. What one of
// those holds once it is decoded is part of what was received, which nobody writes to
// again. Their strings are not checked to be UTF-8.
func Codec(of ...Message) encoding.CodecV2 {
	pool, err := mem.NewBinaryTieredBufferPool(tiers...)
	if err != nil {
		panic(err) // 2^20 is no possible size
	}
	c := codec{CodecV2: encoding.GetCodecV2(proto.Name), types: make(map[reflect.Type]bool, len(of)), pool: pool}
	for _, m := range of {
		c.types[reflect.TypeOf(m)] = true
	}
	return c
}

// tiers are the exponents of the sizes of buffers for messages. A buffer is
// cleared as a whole before it is used: where gRPC has 1 MiB for anything above 32
// KiB, that takes longer than to encode the message.
var tiers = []uint8{11, 12, 13, 14, 15, 16, 17, 18, 19, 20}

type codec struct {
	encoding.CodecV2
	types map[reflect.Type]bool
	pool  mem.BufferPool
}

// own returns v as a message that this codec decodes and encodes itself.
func (c codec) own(v any) (Message, bool) {
	m, ok := v.(Message)
	return m, ok && c.types[reflect.TypeOf(v)]
}

// Marshal encodes v.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := c.own(v)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	size, pool := m.SizeVT(), c.pool
	if mem.IsBelowBufferPoolingThreshold(size) {
		pool = mem.NopBufferPool{}
	}
	buffer := pool.Get(size)
	if _, err := m.MarshalToSizedBufferVT(*buffer); err != nil {
		pool.Put(buffer)
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return mem.BufferSlice{mem.NewBuffer(buffer, pool)}, nil
}

// Unmarshal decodes data into v.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := c.own(v)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	m.Reset()
	return m.UnmarshalVTUnsafe(data.Materialize())
}
