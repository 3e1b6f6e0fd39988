package state

import (
	"fmt"

	"github.com/klauspost/compress/s2"
)

const (
	// A vocabulary is learned from the values that a resource gets after it got
	// vocabularyAfter of them, and a new one each time that it got
	// vocabularyGrowth times as many as before.
	vocabularyAfter, vocabularyGrowth = 64, 16
	// vocabularyValues are learned from, and vocabularySize bytes at most: no more
	// than that of one of them either.
	vocabularyValues, vocabularySize = 4, 16 << 10
	// packSmallest and packLargest bound the values that are packed, in bytes.
	packSmallest, packLargest = 64, 256 << 10
	// passMost bounds how many values are passed over because those before did
	// not become smaller: keys and certificates do not.
	passMost = 63
)

// packer packs the values that are kept in memory, and only there: objects of a
// resource say much the same, so each is kept by what differs from some of the
// first ones. A pod of 2 KiB takes 600 bytes, 2 µs to pack and 1 to unpack. What
// does not become smaller by an eighth is kept as it is. It has one user at a
// time.
type packer struct {
	names     *names
	resources map[string]*vocabulary
	buffer    []byte
}

// vocabulary is what the values of a resource have in common.
type vocabulary struct {
	words   *s2.Dict // nil until it is learned
	got     int      // how many values there were
	next    int      // how many there will have been when it is learned again
	learned []byte   // the values so far, while it is being learned
	values  int      // how many those are
	failed  int      // how many were passed over the last time, 0 after a success
	pass    int      // how many are to be passed over now
}

func newPacker() *packer { return &packer{names: newNames(), resources: make(map[string]*vocabulary)} }

// keep gives an entry that is not stored yet, but has its key, a copy of a value,
// and one of its name.
func (p *packer) keep(e *Entry, value []byte) {
	data, words := p.pack(e.Key.Space, value)
	e.Key.Space = p.names.space(e.Key.Space, words)
	e.hold(e.Key.Name, data)
}

// pack returns a value packed with words, until the next is packed; or the value
// and no words when it is better kept as it is.
func (p *packer) pack(s *Space, value []byte) ([]byte, *s2.Dict) {
	if len(value) < packSmallest || len(value) > packLargest {
		return value, nil
	}
	v, known := p.resources[s.Resource]
	if !known {
		v = &vocabulary{next: vocabularyAfter}
		p.resources[s.Resource] = v
	}
	v.learn(value)
	if v.pass > 0 {
		v.pass--
		return value, nil
	}
	if v.words == nil {
		return value, nil
	}
	if most := s2.MaxEncodedLen(len(value)); len(p.buffer) < most {
		p.buffer = make([]byte, most)
	}
	packed := v.words.Encode(p.buffer, value)
	if len(packed) > len(value)*7/8 {
		v.failed = min(2*v.failed+1, passMost)
		v.pass = v.failed
		return value, nil
	}
	v.failed = 0
	return packed, v.words
}

func (v *vocabulary) learn(value []byte) {
	if v.got++; v.got < v.next {
		return
	}
	v.learned = append(v.learned, value[:min(len(value), vocabularySize/vocabularyValues)]...)
	if v.values++; v.values < vocabularyValues {
		return
	}
	v.words = s2.MakeDict(v.learned, nil)
	v.learned, v.values, v.next = nil, 0, v.next*vocabularyGrowth
}

// Value returns the value. It must not be modified: it may be the one that is
// kept. It takes about 0.5 µs for a KiB, so do not ask twice.
func (e *Entry) Value() []byte {
	if e.Key.words == nil {
		return e.data()
	}
	return e.AppendValue(nil)
}

// AppendValue appends the value to bytes of the caller.
func (e *Entry) AppendValue(to []byte) []byte {
	if e.Key.words == nil {
		return append(to, e.data()...)
	}
	at, size := len(to), e.Size()
	to = append(to, make([]byte, size)...)
	if _, err := e.Key.words.Decode(to[at:], e.data()); err != nil {
		panic(fmt.Sprintf("unpack %s: %v", e.Key, err)) // memory is damaged
	}
	return to
}

// Size is the length of the value in bytes.
func (e *Entry) Size() int {
	if e.Key.words == nil {
		return e.size
	}
	size, err := s2.DecodedLen(e.data())
	if err != nil {
		panic(fmt.Sprintf("unpack %s: %v", e.Key, err)) // memory is damaged
	}
	return size
}
