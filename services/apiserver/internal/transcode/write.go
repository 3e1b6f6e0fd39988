package transcode

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// resourceVersion is the number of the field in metadata.
const resourceVersion = 6

// Append writes an encoded object behind bytes of the caller, with its type, unless
// that is empty, and its resourceVersion, which are not encoded. What was written
// before an error is to be thrown away.
func (m *Message) Append(to, raw []byte, gvk schema.GroupVersionKind, version string) ([]byte, error) {
	to = append(to, '{')
	if !gvk.Empty() {
		to = appendType(to, gvk)
	}
	to, err := m.appendFields(to, raw, version, false)
	return closed(to, '}'), err
}

func appendType(to []byte, gvk schema.GroupVersionKind) []byte {
	to = append(to, `"kind":"`...)
	to = append(to, gvk.Kind...)
	to = append(to, `","apiVersion":"`...)
	if gvk.Group != "" {
		to = append(to, gvk.Group...)
		to = append(to, '/')
	}
	to = append(to, gvk.Version...)
	return append(to, `",`...)
}

// closed replaces the comma that follows the last element.
func closed(to []byte, end byte) []byte {
	if last := len(to) - 1; to[last] == ',' {
		to[last] = end
		return to
	}
	return append(to, end)
}

// span is where a field is in its message: from its first tag to the end of its
// last element.
type span struct{ from, to int32 }

// appendFields writes all fields, each with a comma behind it. The version is the
// object's, on the way to its metadata.
func (m *Message) appendFields(to, raw []byte, version string, meta bool) ([]byte, error) {
	if len(m.fields) > fewFields {
		var spans [mostFields]span
		return m.appendFound(to, raw, spans[:], version, meta)
	}
	var spans [fewFields]span
	return m.appendFound(to, raw, spans[:], version, meta)
}

// fewFields is how many most messages have at most: room for more is not cheap.
const fewFields = 12

func (m *Message) appendFound(to, raw []byte, spans []span, version string, meta bool) ([]byte, error) {
	if err := m.find(raw, spans); err != nil {
		return to, err
	}
	for i := range m.fields {
		f, s := &m.fields[i], spans[i]
		var err error
		if version != "" && meta && f.number == resourceVersion {
			to = append(to, f.key...)
			to, err = writeString(to, []byte(version), 0)
			to = append(to, ',')
		} else if s.to == 0 {
			to, err = f.appendAbsent(to, version)
		} else {
			to, err = f.append(to, raw[s.from:s.to], version)
		}
		if err != nil {
			return to, err
		}
	}
	return to, nil
}

// find looks for the fields. One whose elements are not next to each other was
// encoded by others than Kubernetes' encoders, or twice, to be merged.
func (m *Message) find(raw []byte, spans []span) error {
	if len(raw) > math.MaxInt32 {
		return ErrUnknown
	}
	for at := 0; at < len(raw); {
		number, kind, n := protowire.ConsumeTag(raw[at:])
		if n < 0 {
			return ErrUnknown
		}
		size := protowire.ConsumeFieldValue(number, kind, raw[at+n:])
		if size < 0 {
			return ErrUnknown
		}
		end := at + n + size
		if int(number) < len(m.places) && m.places[number] > 0 {
			place := m.places[number] - 1
			f, s := &m.fields[place], &spans[place]
			switch {
			case kind != f.wire():
				return ErrUnknown
			case s.to == 0:
				*s = span{int32(at), int32(end)}
			case int(s.to) == at && f.shape >= list:
				s.to = int32(end)
			default:
				return ErrUnknown
			}
		}
		at = end
	}
	return nil
}

func (f *field) wire() wire {
	if f.shape == dict {
		return wireBytes
	}
	return f.value.wire
}

// appendAbsent writes a field that is not encoded.
func (f *field) appendAbsent(to []byte, version string) ([]byte, error) {
	switch f.shape {
	case single, inline:
		if f.value.absent == "" {
			return f.appendSingle(to, nil, 0, version)
		}
		if f.omits != nil {
			return to, nil
		}
		to = append(to, f.key...)
		to = append(to, f.value.absent...)
		return append(to, ','), nil
	}
	if f.skips {
		return to, nil
	}
	to = append(to, f.key...)
	return append(to, "null,"...), nil
}

// append writes a field of which there are elements, each behind its tag.
func (f *field) append(to, raw []byte, version string) ([]byte, error) {
	switch f.shape {
	case list:
		return f.appendList(to, raw)
	case dict:
		return f.appendDict(to, raw)
	}
	body, n, _ := consume(raw)
	return f.appendSingle(to, body, n, version)
}

func (f *field) appendSingle(to, body []byte, n uint64, version string) ([]byte, error) {
	if f.shape == inline {
		plan, err := f.value.message.get()
		if err != nil {
			return to, err
		}
		return plan.appendFields(to, body, "", false)
	}
	if f.omits != nil && f.omits(body, n) {
		return to, nil
	}
	to = append(to, f.key...)
	if !f.meta {
		version = ""
	}
	to, err := f.value.append(to, body, n, version)
	return append(to, ','), err
}

func (f *field) appendList(to, raw []byte) ([]byte, error) {
	to = append(to, f.key...)
	to = append(to, '[')
	for len(raw) > 0 {
		body, n, size := consume(raw)
		var err error
		if to, err = f.value.append(to, body, n, ""); err != nil {
			return to, err
		}
		to, raw = append(to, ','), raw[size:]
	}
	return append(closed(to, ']'), ','), nil
}

// entry is an element of a map.
type entry struct {
	key, body []byte
	n         uint64
}

func (f *field) appendDict(to, raw []byte) ([]byte, error) {
	var few [16]entry
	entries := few[:0]
	for len(raw) > 0 {
		body, _, size := consume(raw)
		e, err := f.entry(body)
		if err != nil {
			return to, err
		}
		entries, raw = append(entries, e), raw[size:]
	}
	slices.SortFunc(entries, func(a, b entry) int { return slices.Compare(a.key, b.key) })
	to = append(to, f.key...)
	to = append(to, '{')
	for i, e := range entries {
		if i > 0 && slices.Equal(e.key, entries[i-1].key) {
			return to, ErrUnknown // the later one would count
		}
		var err error
		if to, err = writeString(to, e.key, 0); err != nil {
			return to, err
		}
		to = append(to, ':')
		if to, err = f.value.append(to, e.body, e.n, ""); err != nil {
			return to, err
		}
		to = append(to, ',')
	}
	return append(closed(to, '}'), ','), nil
}

// entry reads an element of a map: its key is field 1, its value field 2.
func (f *field) entry(raw []byte) (e entry, err error) {
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return e, ErrUnknown
		}
		size := protowire.ConsumeFieldValue(number, kind, raw[n:])
		if size < 0 {
			return e, ErrUnknown
		}
		body, varint, _ := consume(raw)
		switch {
		case number == 1 && kind == wireBytes:
			e.key = body
		case number == 2 && kind == f.value.wire:
			e.body, e.n = body, varint
		default:
			return e, ErrUnknown
		}
		raw = raw[n+size:]
	}
	return e, nil
}

func (v *value) append(to, body []byte, n uint64, version string) ([]byte, error) {
	if v.message == nil {
		return v.write(to, body, n)
	}
	plan, err := v.message.get()
	if err != nil {
		return to, err
	}
	to, err = plan.appendFields(append(to, '{'), body, version, version != "")
	return closed(to, '}'), err
}

// consume takes one element with its tag, which were seen to be well formed.
func consume(raw []byte) (body []byte, n uint64, size int) {
	_, kind, tag := protowire.ConsumeTag(raw)
	if kind == wireVarint {
		n, size = protowire.ConsumeVarint(raw[tag:])
		return nil, n, tag + size
	}
	body, size = protowire.ConsumeBytes(raw[tag:])
	return body, 0, tag + size
}

// items is how a list is encoded that is a message of its own.
var items = Message{
	fields: []field{{number: 1, shape: list, value: value{wire: wireBytes, write: writeString}}},
	places: []uint8{0, 1},
}

func writeItems(to, raw []byte, _ uint64) ([]byte, error) {
	var spans [1]span
	if err := items.find(raw, spans[:]); err != nil {
		return to, err
	}
	s := spans[0]
	if s.to == 0 {
		return append(to, "[]"...), nil
	}
	to, err := items.fields[0].appendList(to, raw[s.from:s.to])
	return to[:len(to)-1], err // without the comma behind a field
}
