package transcode

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// wire is one of the two ways in which Kubernetes encodes values.
type wire = protowire.Type

const (
	wireBytes  = protowire.BytesType
	wireVarint = protowire.VarintType
)

func writeInt32(to, _ []byte, n uint64) ([]byte, error) {
	return strconv.AppendInt(to, int64(int32(n)), 10), nil
}

func writeInt64(to, _ []byte, n uint64) ([]byte, error) {
	return strconv.AppendInt(to, int64(n), 10), nil
}

func writeBool(to, _ []byte, n uint64) ([]byte, error) { return strconv.AppendBool(to, n != 0), nil }

func writeBytes(to, raw []byte, _ uint64) ([]byte, error) {
	to = append(to, '"')
	to = base64.StdEncoding.AppendEncode(to, raw)
	return append(to, '"'), nil
}

// plain has the bytes that a JSON string holds as they are.
var plain = func() (out [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		out[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != 0x7f
	}
	out[0x7f] = true
	return out
}()

func writeString(to, raw []byte, _ uint64) ([]byte, error) {
	for _, c := range raw {
		if !plain[c] {
			text, err := json.Marshal(string(raw))
			return append(to, text...), err
		}
	}
	to = append(to, '"')
	to = append(to, raw...)
	return append(to, '"'), nil
}

var (
	timeType      = reflect.TypeFor[metav1.Time]()
	microTimeType = reflect.TypeFor[metav1.MicroTime]()
)

var specials = map[reflect.Type]func(to, raw []byte, _ uint64) ([]byte, error){
	timeType:                             writeTime,
	reflect.TypeFor[resource.Quantity](): writeQuantity,
	reflect.TypeFor[metav1.FieldsV1]():   writeFields,
}

// special returns how a type is written that says itself how its JSON looks.
func special(t reflect.Type) (value, bool) {
	p := reflect.PointerTo(t)
	if !p.Implements(marshaler) || !p.Implements(unmarshalerType) {
		return value{}, false
	}
	v := value{wire: wireBytes, write: decoded(t)}
	if known, ok := specials[t]; ok {
		v.write = known
	}
	return v, true
}

type unmarshaler interface{ Unmarshal([]byte) error }

var unmarshalerType = reflect.TypeFor[unmarshaler]()

// decoded writes values of a type by decoding them.
func decoded(t reflect.Type) func(to, raw []byte, _ uint64) ([]byte, error) {
	return func(to, raw []byte, _ uint64) ([]byte, error) {
		v := reflect.New(t).Interface()
		if err := v.(unmarshaler).Unmarshal(raw); err != nil {
			return to, err
		}
		text, err := json.Marshal(v)
		return append(to, text...), err
	}
}

var decodedTime = decoded(timeType)

func writeTime(to, raw []byte, n uint64) ([]byte, error) {
	if len(raw) == 0 {
		return append(to, "null"...), nil
	}
	if raw[0] != 1<<3 { // seconds come first
		return decodedTime(to, raw, n)
	}
	seconds, size := protowire.ConsumeVarint(raw[1:])
	// There may be nanoseconds, which JSON does not have.
	if rest := raw[min(1+max(size, 0), len(raw)):]; size < 0 || len(rest) > 0 && rest[0] != 2<<3 {
		return decodedTime(to, raw, n)
	}
	at := time.Unix(int64(seconds), 0).UTC()
	if at.IsZero() || at.Year() < 0 || at.Year() > 9999 {
		return decodedTime(to, raw, n)
	}
	to = append(to, '"')
	to = at.AppendFormat(to, time.RFC3339)
	return append(to, '"'), nil
}

var decodedQuantity = decoded(reflect.TypeFor[resource.Quantity]())

// writeQuantity writes what was encoded by this server, and is canonical then.
func writeQuantity(to, raw []byte, n uint64) ([]byte, error) {
	if len(raw) < 3 || raw[0] != 1<<3|2 || int(raw[1]) != len(raw)-2 || !canonical(raw[2:]) {
		return decodedQuantity(to, raw, n)
	}
	return writeString(to, raw[2:], 0)
}

// canonical tells whether a quantity is certainly written as Kubernetes writes it:
// a few digits that need no shorter form, and a unit.
func canonical(text []byte) bool {
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	if digits == 0 || digits > 3 || text[0] == '0' && (digits > 1 || len(text) > 1) {
		return false
	}
	switch unit := string(text[digits:]); unit {
	case "", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti":
		return true
	}
	return false
}

var decodedFields = decoded(reflect.TypeFor[metav1.FieldsV1]())

// writeFields writes JSON that is in the object already.
func writeFields(to, raw []byte, n uint64) ([]byte, error) {
	if len(raw) < 2 || raw[0] != 1<<3|2 {
		return decodedFields(to, raw, n)
	}
	text, size := protowire.ConsumeBytes(raw[1:])
	// encoding/json would compact it, and escape these.
	if size != len(raw)-1 || len(text) == 0 || bytes.ContainsAny(text, "<>& \t\r\n") || bytes.IndexByte(text, 0xe2) >= 0 || !json.Valid(text) {
		return decodedFields(to, raw, n)
	}
	return append(to, text...), nil
}
