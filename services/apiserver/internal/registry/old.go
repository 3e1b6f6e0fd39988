package registry

import "google.golang.org/protobuf/encoding/protowire"

// mayBeTrue tells whether a bool of an encoded object is true, without decoding the
// object. It is so, too, of what is no encoding, for decoding to say what is wrong.
func mayBeTrue(value []byte, of protowire.Number) bool {
	set := false
	for len(value) > 0 {
		number, kind, n := protowire.ConsumeTag(value)
		if n < 0 {
			return true
		}
		value = value[n:]
		if n = protowire.ConsumeFieldValue(number, kind, value); n < 0 {
			return true
		}
		if number == of {
			set = value[0] != 0
		}
		value = value[n:]
	}
	return set
}
