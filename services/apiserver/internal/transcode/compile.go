// Package transcode writes Kubernetes objects in JSON straight from their protobuf
// encoding, byte by byte as encoding/json writes the decoded object, in about a
// sixth of the time: nothing is decoded but what must look different.
//
// What a type looks like in both encodings is read from the tags of its fields once.
// Types that have something this package does not know, and values that are encoded
// in another way than Kubernetes' own encoders do, are refused with ErrUnknown: they
// are to be decoded.
package transcode

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrUnknown says that a type or a value must be decoded to be written in JSON.
var ErrUnknown = errors.New("no such JSON without decoding")

// mostFields is the most fields a message may have.
const mostFields = 64

// Message is how the values of a struct are written.
type Message struct {
	fields []field // in the order of the struct
	// places has the field of each number, plus one; 0 is none.
	places []uint8
}

// field is one field of a message.
type field struct {
	number int
	key    []byte // `"name":`
	value  value
	// shape says how often the value is there.
	shape shape
	// skips says that nothing is written where nothing is: nil, or no elements.
	skips bool
	// omits tells which single values are not written; nil is none.
	omits func(raw []byte, n uint64) bool
	// meta says that it is the object's metadata.
	meta bool
}

type shape uint8

const (
	single  shape = iota
	pointer       // once or not at all
	inline        // once, and its fields are written as those of the message around
	list
	dict
)

// value is how one element is written: as the message, or by the function.
type value struct {
	wire    wire
	message *message
	write   func(to, raw []byte, n uint64) ([]byte, error) // n is a varint
	// empty tells what omitempty omits; nil is nothing.
	empty func(raw []byte, n uint64) bool
	// absent is what is written where nothing is encoded; "" is what write makes of
	// no bytes.
	absent string
}

// message is a Message that may be compiled later, since types may hold themselves.
type message struct {
	typ  reflect.Type
	once sync.Once
	plan *Message
	err  error
}

func (m *message) get() (*Message, error) {
	m.once.Do(func() { m.plan, m.err = compile(m.typ) })
	return m.plan, m.err
}

var messages sync.Map // reflect.Type → *message

func lazily(t reflect.Type) *message {
	m, _ := messages.LoadOrStore(t, &message{typ: t})
	return m.(*message)
}

// Of returns how objects of a struct type are written, or ErrUnknown.
func Of(t reflect.Type) (*Message, error) { return lazily(t).get() }

var named sync.Map // string → *message

// Named is Of for the type that create returns a pointer to. It is called once for
// a name.
func Named[T any](name string, create func() T) (*Message, error) {
	m, ok := named.Load(name)
	if !ok {
		m, _ = named.LoadOrStore(name, lazily(reflect.TypeOf(create()).Elem()))
	}
	return m.(*message).get()
}

func compile(t reflect.Type) (*Message, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is no struct: %w", t, ErrUnknown)
	}
	m := &Message{}
	for f := range t.Fields() {
		if f.Type == reflect.TypeFor[metav1.TypeMeta]() {
			continue // not in protobuf
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		compiled, err := compileField(f, name, options)
		if err != nil {
			return nil, fmt.Errorf("%v.%s: %w", t, f.Name, err)
		}
		m.fields = append(m.fields, compiled)
	}
	if len(m.fields) > mostFields {
		return nil, fmt.Errorf("%v has more than %d fields: %w", t, mostFields, ErrUnknown)
	}
	for i, f := range m.fields {
		for len(m.places) <= f.number {
			m.places = append(m.places, 0)
		}
		m.places[f.number] = uint8(i + 1)
	}
	return m, nil
}

func compileField(s reflect.StructField, name, options string) (field, error) {
	tag := strings.Split(s.Tag.Get("protobuf"), ",")
	if len(tag) < 3 || !s.IsExported() {
		return field{}, ErrUnknown
	}
	number, err := strconv.Atoi(tag[1])
	if err != nil || number < 1 || number > 1000 {
		return field{}, ErrUnknown
	}
	f := field{number: number, key: append(strconv.AppendQuote(nil, name), ':'), meta: s.Type == reflect.TypeFor[metav1.ObjectMeta]()}
	omitEmpty, omitZero, err := parseOptions(options)
	inlined := s.Anonymous && name == ""
	if err != nil || name == "" && !inlined {
		return f, ErrUnknown
	}
	if f.value, err = f.compileType(s.Type); err != nil {
		return f, err
	}
	f.skips = omitEmpty || omitZero
	switch {
	case inlined && (f.shape != single || f.value.message == nil):
		return f, ErrUnknown
	case inlined:
		f.shape = inline
	case f.shape != single:
	case omitZero && s.Type != timeType && s.Type != microTimeType:
		return f, ErrUnknown
	case omitZero:
		f.omits = noBytes
	case omitEmpty:
		f.omits = f.value.empty
	}
	return f, nil
}

func parseOptions(text string) (omitEmpty, omitZero bool, err error) {
	for option := range strings.SplitSeq(text, ",") {
		switch option {
		case "", "inline": // which encoding/json does not know either
		case "omitempty":
			omitEmpty = true
		case "omitzero":
			omitZero = true
		default:
			return false, false, ErrUnknown
		}
	}
	return omitEmpty, omitZero, nil
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// compileType finds out how a field's type is written: pointers, lists and maps by
// what is in them.
func (f *field) compileType(t reflect.Type) (value, error) {
	if known, ok := special(t); ok {
		return known, nil
	}
	switch {
	case isBytes(t):
		return value{wire: wireBytes, write: writeBytes, empty: noBytes, absent: "null"}, nil
	case t.Kind() == reflect.Pointer:
		f.shape, t = pointer, t.Elem()
	case t.Kind() == reflect.Slice && !reflect.PointerTo(t).Implements(unmarshalerType):
		f.shape, t = list, t.Elem()
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		f.shape, t = dict, t.Elem()
	}
	if known, ok := special(t); ok {
		return known, nil
	}
	return compileElement(t)
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func compileElement(t reflect.Type) (value, error) {
	if p := reflect.PointerTo(t); p.Implements(textMarshaler) || p.Implements(marshaler) {
		return value{}, ErrUnknown
	}
	switch {
	case t.Kind() == reflect.String:
		return value{wire: wireBytes, write: writeString, empty: noBytes}, nil
	case t.Kind() == reflect.Int32:
		return value{wire: wireVarint, write: writeInt32, empty: isZero}, nil
	case t.Kind() == reflect.Int64:
		return value{wire: wireVarint, write: writeInt64, empty: isZero}, nil
	case t.Kind() == reflect.Bool:
		return value{wire: wireVarint, write: writeBool, empty: isZero}, nil
	case t.Kind() == reflect.Struct:
		return value{wire: wireBytes, message: lazily(t)}, nil
	case isBytes(t):
		return value{wire: wireBytes, write: writeBytes}, nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String && reflect.PointerTo(t).Implements(unmarshalerType):
		return value{wire: wireBytes, write: writeItems}, nil
	}
	return value{}, ErrUnknown
}

func noBytes(raw []byte, _ uint64) bool { return len(raw) == 0 }

func isZero(_ []byte, n uint64) bool { return n == 0 }
