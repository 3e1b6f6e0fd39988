package exchange

import (
	"google.golang.org/grpc/encoding"

	"github.com/musterhq/muster/proto/inplace"
	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Codec returns gRPC's codec for protobuf, which encodes the messages of Exchange, and
// the events of a watch, by generated code, and decodes them in place.
func Codec() encoding.CodecV2 {
	return inplace.Codec((*apiv1.ExchangeRequest)(nil), (*apiv1.ExchangeResponse)(nil), (*apiv1.WatchResponse)(nil))
}
