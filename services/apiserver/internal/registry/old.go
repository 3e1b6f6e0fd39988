package registry

import (
	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// unlessMeta makes a check of an update pass where Old found that there is nothing
// to be compared but metadata.
func unlessMeta(check func(obj, old Object) field.ErrorList) func(obj, old Object) field.ErrorList {
	return func(obj, old Object) field.ErrorList {
		if _, meta := old.(*metav1.PartialObjectMetadata); meta {
			return nil
		}
		return check(obj, old)
	}
}

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
