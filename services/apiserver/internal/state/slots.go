package state

import "hash/maphash"

// slots finds outcomes by their ids of the usual length. It is a hash table with
// linear probing of slots of the ring, which have the ids: a map would have them
// again, and be most of what an outcome takes. The hashes are kept, so that the
// ring, most of which no cache of the processor holds, is looked at only where an
// id most likely is.
type slots struct {
	seed  maphash.Seed
	table []place // a power of two, at most half full
	count int
}

// place of the table.
type place struct {
	hash uint32 // lower half of that of the id
	slot uint32 // and one; 0 if there is none
}

// slotsLeast is the size that a table begins with.
const slotsLeast = 64

func newSlots() slots { return slots{seed: maphash.MakeSeed(), table: make([]place, slotsLeast)} }

func (s *slots) hash(id *[usualID]byte) uint32 { return uint32(maphash.Bytes(s.seed, id[:])) }

// home is where the search for a hash begins.
func (s *slots) home(hash uint32) int { return int(hash) & (len(s.table) - 1) }

func (s *slots) next(at int) int { return (at + 1) & (len(s.table) - 1) }

// find returns the slot of an id.
func (s *slots) find(ring []outcome, id *[usualID]byte) (slot uint32, ok bool) {
	hash := s.hash(id)
	for at := s.home(hash); s.table[at].slot != 0; at = s.next(at) {
		if p := s.table[at]; p.hash == hash && ring[p.slot-1].id == *id {
			return p.slot - 1, true
		}
	}
	return 0, false
}

// add notes a slot, whose outcome has an id that is not there.
func (s *slots) add(ring []outcome, slot uint32) {
	if s.count++; 2*s.count > len(s.table) {
		old := s.table
		s.table = make([]place, 2*len(old))
		for _, p := range old {
			if p.slot != 0 {
				s.put(p)
			}
		}
	}
	s.put(place{hash: s.hash(&ring[slot].id), slot: slot + 1})
}

func (s *slots) put(p place) {
	at := s.home(p.hash)
	for s.table[at].slot != 0 {
		at = s.next(at)
	}
	s.table[at] = p
}

// remove forgets a slot that was added, and moves up what was put behind it for
// want of room.
func (s *slots) remove(ring []outcome, slot uint32) {
	hole := s.home(s.hash(&ring[slot].id))
	for ; s.table[hole].slot != slot+1; hole = s.next(hole) {
		if s.table[hole].slot == 0 {
			return
		}
	}
	s.count--
	for at := s.next(hole); s.table[at].slot != 0; at = s.next(at) {
		if s.distance(s.home(s.table[at].hash), at) >= s.distance(hole, at) {
			s.table[hole], hole = s.table[at], at
		}
	}
	s.table[hole] = place{}
}

// distance is how many steps it takes from one place to another.
func (s *slots) distance(from, to int) int { return (to - from) & (len(s.table) - 1) }
