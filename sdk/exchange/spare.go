package exchange

import (
	"bytes"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// metadataField is where every Kubernetes object has its metadata; their
// encoders write it first.
const metadataField = 1

// split parts an encoded object behind its metadata, if it begins with that.
func split(value []byte) (metadata, rest []byte, ok bool) {
	number, kind, tag := protowire.ConsumeTag(value)
	if tag < 0 || number != metadataField || kind != protowire.BytesType {
		return nil, nil, false
	}
	_, n := protowire.ConsumeBytes(value[tag:])
	if n < 0 {
		return nil, nil, false
	}
	return value[:tag+n], value[tag+n:], true
}

// Spare returns the metadata of a stored object of a type if all else of it is as
// the call sent it, and the call allows to leave that out.
func Spare(call *apiv1.Call, typeName string, stored []byte) (metadata []byte, ok bool) {
	sent := sentBy(call)
	if !call.GetSpare() || !strings.HasSuffix(sent.GetTypeUrl(), "/"+typeName) {
		return nil, false
	}
	_, before, ok := split(sent.GetValue())
	if !ok {
		return nil, false
	}
	metadata, after, ok := split(stored)
	return metadata, ok && bytes.Equal(before, after)
}

// Object is an encoded object, in two parts that follow each other: what the
// server sent and, if it did not send back what the call held, that. In the
// protobuf encoding to decode one after the other is to decode both together.
type Object struct {
	TypeURL string
	Parts   [2][]byte
}

func objectOf(call *apiv1.Call, a *apiv1.Answer) Object {
	o := Object{TypeURL: a.GetObject().GetTypeUrl(), Parts: [2][]byte{a.GetObject().GetValue()}}
	if a.GetSpared() {
		_, o.Parts[1], _ = split(sentBy(call).GetValue()) // the server did so, too
	}
	return o
}

func sentBy(call *apiv1.Call) *anypb.Any {
	op := call.GetOperation()
	for _, o := range []*anypb.Any{op.GetUpdate().GetObject(), op.GetCreate().GetObject(), op.GetUpdateStatus().GetObject()} {
		if o != nil {
			return o
		}
	}
	return nil
}
