package state

import (
	"strings"
	"unsafe"

	"github.com/klauspost/compress/s2"
)

// Entry is one stored value. It and all it refers to are never modified once
// stored, and must not be by readers.
//
// There may be millions, so it is 64 bytes, the collector finds three pointers in
// it, and the value needs none: it lies right behind the name, in its memory.
type Entry struct {
	Key            StoredKey
	CreateRevision uint64
	ModRevision    uint64
	// Expires is when the entry is past its time, in seconds since 1970; 0 is
	// never. It is there until an Expire is applied that finds it.
	Expires int64

	index *[]string // shared with entries that have the same
	size  int       // of the value as it is kept, in bytes
}

// NewEntry returns an entry that is in no state, with copies of the key and the
// value: one to be, for who plans what comes after it.
func NewEntry(key Key, value []byte, revision uint64) *Entry {
	e := &Entry{Key: StoredKey{newSpace(key.Resource, key.Namespace), key.Name}, CreateRevision: revision, ModRevision: revision}
	e.hold(key.Name, value)
	return e
}

// Space is what the keys of many entries have in common, which is kept once.
type Space struct {
	Resource  string
	Namespace string

	words *s2.Dict // that the values are packed with; nil if they are not
}

// newSpace returns a space with copies of both.
func newSpace(resource, namespace string) *Space {
	return &Space{Resource: strings.Clone(resource), Namespace: strings.Clone(namespace)}
}

// StoredKey is the Key of an entry. Who keeps the name for long makes a copy: it
// keeps the value.
type StoredKey struct {
	*Space
	Name string
}

// Plain returns the key by itself.
func (k StoredKey) Plain() Key {
	return Key{Resource: k.Resource, Namespace: k.Namespace, Name: k.Name}
}

// String returns the key for messages.
func (k StoredKey) String() string { return k.Plain().String() }

// Index returns the values a watch may select by, e.g. "spec.nodeName=n1".
func (e *Entry) Index() []string {
	if e.index == nil {
		return nil
	}
	return *e.index
}

// hold sets the name, which must not be empty, and the value as it is kept to
// copies of them.
func (e *Entry) hold(name string, data []byte) {
	var text strings.Builder
	text.Grow(len(name) + len(data))
	text.WriteString(name)
	text.Write(data)
	e.Key.Name, e.size = text.String()[:len(name)], len(data)
}

// data returns the value as it is kept.
func (e *Entry) data() []byte {
	if e.size == 0 {
		return nil
	}
	name := unsafe.Pointer(unsafe.StringData(e.Key.Name))
	return unsafe.Slice((*byte)(unsafe.Add(name, len(e.Key.Name))), e.size)
}
