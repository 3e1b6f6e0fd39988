package objects

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
	"github.com/musterhq/muster/services/apiserver/internal/transcode"
)

// Stored is an object as the state holds it: encoded, with its revision beside
// it. The zero revision is that of an object that was never stored (dry run).
type Stored struct {
	// GVK of the object.
	GVK schema.GroupVersionKind
	// Type is the protobuf message name.
	Type string
	// Value is the protobuf encoding without resourceVersion; not to be modified. It
	// is nil in lists, whose objects are unpacked one by one when they are written.
	Value []byte
	// Revision is the resourceVersion.
	Revision uint64

	newObject func() registry.Object
	entry     *state.Entry   // nil when the value did not come from the state
	seenAs    *registry.Kind // where that is not the kind that Value is of
}

func storedEntry(k *registry.Kind, e *state.Entry) Stored {
	o := storedValue(k, e.Value(), e.ModRevision)
	o.entry = e
	return o
}

// listedEntry is storedEntry for one of many: its value stays where it is until it
// is asked for.
func listedEntry(k *registry.Kind, e *state.Entry) Stored {
	o := storedValue(k, nil, e.ModRevision)
	o.entry = e
	return o
}

// value returns Value, also in lists.
func (s Stored) value() []byte {
	if s.Value == nil && s.entry != nil {
		return s.entry.Value()
	}
	return s.Value
}

// storedValue is a value of the state, seen as an object of the kind.
func storedValue(k *registry.Kind, value []byte, revision uint64) Stored {
	o := Stored{GVK: k.GVK, Type: k.Type, Value: value, Revision: revision, newObject: k.New}
	if k.Stored != nil {
		o.newObject, o.seenAs = k.Stored.Kind.New, k
	}
	return o
}

// ResourceVersion is the revision as clients see it.
func (s Stored) ResourceVersion() string {
	if s.Revision == 0 {
		return ""
	}
	return strconv.FormatUint(s.Revision, 10)
}

// Field numbers that every Kubernetes object shares.
const (
	metadataField        = 1
	resourceVersionField = 6
)

// Protobuf returns the encoding with its resourceVersion. Protobuf merges a
// message field that occurs twice, so the version is appended and nothing is decoded.
func (s Stored) Protobuf() []byte {
	if s.seenAs == nil && s.Revision == 0 {
		return s.value()
	}
	return s.AppendProtobuf(make([]byte, 0, s.protobufSize()))
}

// Sized tells whether the length of the protobuf encoding is known before it is
// made, and what it is.
func (s Stored) Sized() (size int, ok bool) { return s.protobufSize(), s.seenAs == nil }

func (s Stored) protobufSize() int {
	size := len(s.Value)
	if s.Value == nil && s.entry != nil {
		size = s.entry.Size()
	}
	if s.Revision == 0 {
		return size
	}
	return size + 4 + digits(s.Revision)
}

func digits(n uint64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// AppendProtobuf is Protobuf behind bytes of the caller.
func (s Stored) AppendProtobuf(to []byte) []byte {
	switch {
	case s.seenAs != nil:
		return append(to, s.encodeProtobuf()...)
	case s.Value == nil && s.entry != nil:
		to = s.entry.AppendValue(to)
	default:
		to = append(to, s.Value...)
	}
	if s.Revision == 0 {
		return to
	}
	length := digits(s.Revision)
	to = protowire.AppendTag(to, metadataField, protowire.BytesType)
	to = protowire.AppendVarint(to, uint64(length+2))
	to = protowire.AppendTag(to, resourceVersionField, protowire.BytesType)
	to = protowire.AppendVarint(to, uint64(length))
	return strconv.AppendUint(to, s.Revision, 10)
}

// Metadata returns the encoding of the metadata alone, with its resourceVersion, as
// PartialObjectMetadata has it.
func (s Stored) Metadata() []byte {
	if s.seenAs != nil { // Versions of a kind may differ in their annotations.
		return beginning(s.Protobuf()) // with the version within
	}
	s.Value = beginning(s.value())
	return s.Protobuf()
}

// beginning is the first field of an encoded object: the encoder writes metadata first
// and once.
func beginning(value []byte) []byte {
	number, kind, n := protowire.ConsumeTag(value)
	if n < 0 || number != metadataField {
		return nil
	}
	m := protowire.ConsumeFieldValue(number, kind, value[n:])
	return value[:n+max(m, 0)]
}

// Decode returns the object, which the caller may modify.
func (s Stored) Decode() (registry.Object, error) {
	obj := s.newObject()
	if err := obj.Unmarshal(s.value()); err != nil {
		return nil, fmt.Errorf("decode stored %s: %w", s.GVK.Kind, err)
	}
	if s.seenAs != nil {
		obj = s.seenAs.FromStored(obj)
	}
	obj.GetObjectKind().SetGroupVersionKind(s.GVK)
	obj.SetResourceVersion(s.ResourceVersion())
	return obj, nil
}

// Meta decodes the metadata alone.
func (s Stored) Meta() (*metav1.ObjectMeta, error) {
	if s.seenAs != nil { // Versions of a kind may differ in their annotations.
		obj, err := s.Decode()
		if err != nil {
			return nil, err
		}
		return obj.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta), nil
	}
	meta, err := decodeMeta(s.value())
	if err != nil {
		return nil, fmt.Errorf("decode metadata of stored %s: %w", s.GVK.Kind, err)
	}
	meta.ResourceVersion = s.ResourceVersion()
	return meta, nil
}

func decodeMeta(value []byte) (*metav1.ObjectMeta, error) {
	meta := &metav1.ObjectMeta{}
	for len(value) > 0 {
		number, kind, n := protowire.ConsumeTag(value)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		value = value[n:]
		if number == metadataField && kind == protowire.BytesType {
			raw, n := protowire.ConsumeBytes(value)
			if n < 0 {
				return nil, protowire.ParseError(n)
			}
			// The encoder writes metadata first and once.
			return meta, meta.Unmarshal(raw)
		}
		if n = protowire.ConsumeFieldValue(number, kind, value); n < 0 {
			return nil, protowire.ParseError(n)
		}
		value = value[n:]
	}
	return meta, nil
}

// typeName derives the protobuf message name from the Go type, as Kubernetes'
// generators do: package path and name.
func typeName(obj registry.Object) string {
	t := reflect.TypeOf(obj).Elem()
	return strings.ReplaceAll(t.PkgPath(), "/", ".") + "." + t.Name()
}

// unpacked holds values while they are encoded anew.
var unpacked = sync.Pool{New: func() any { return new([]byte) }}

// AppendJSON writes the object in JSON behind bytes of the caller. Nearly always
// that is done without decoding it.
func (s Stored) AppendJSON(to []byte) ([]byte, error) {
	if s.seenAs == nil && s.newObject != nil {
		if m, err := transcode.Named(s.Type, s.newObject); err == nil {
			raw := s.Value
			if raw == nil && s.entry != nil {
				buffer := unpacked.Get().(*[]byte)
				defer unpacked.Put(buffer)
				*buffer = s.entry.AppendValue((*buffer)[:0])
				raw = *buffer
			}
			if out, err := m.Append(to, raw, s.GVK, s.ResourceVersion()); err == nil {
				return out, nil
			}
		}
	}
	obj, err := s.Decode()
	if err != nil {
		return to, err
	}
	out, err := json.Marshal(obj)
	if err != nil {
		return to, fmt.Errorf("encode stored %s: %w", s.GVK.Kind, err)
	}
	return append(to, out...), nil
}

// AppendItem writes the object as lists of one kind hold it in Kubernetes: without the
// kind, which is the list's to tell.
func (s Stored) AppendItem(to []byte) ([]byte, error) {
	s.GVK = schema.GroupVersionKind{}
	return s.AppendJSON(to)
}

// Unstored is an object that is not in the state: a bookmark.
func Unstored(k *registry.Kind, value []byte, revision uint64) Stored {
	return Stored{GVK: k.GVK, Type: k.Type, Value: value, Revision: revision, newObject: k.New}
}
