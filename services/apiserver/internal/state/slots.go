package state

import "hash/maphash"

// slots finds outcomes by their ids of the usual length. It is a hash table with
// linear probing of slots of the ring, which have the ids: a map would have them
// again, and be most of what an outcome takes.
type slots struct {
	seed  maphash.Seed
	table []uint32 // 0, or a slot and one; a power of two, at most half full
	count int
}

// slotsLeast is the size that a table begins with.
const slotsLeast = 64

func newSlots() slots { return slots{seed: maphash.MakeSeed(), table: make([]uint32, slotsLeast)} }

// home is where the search for an id begins.
func (s *slots) home(id *[usualID]byte) int {
	return int(maphash.Bytes(s.seed, id[:]) & uint64(len(s.table)-1))
}

func (s *slots) next(at int) int { return (at + 1) & (len(s.table) - 1) }

// find returns where an id is in the table, or where it belongs.
func (s *slots) find(ring []outcome, id *[usualID]byte) (at int, ok bool) {
	for at = s.home(id); s.table[at] != 0; at = s.next(at) {
		if ring[s.table[at]-1].id == *id {
			return at, true
		}
	}
	return at, false
}

// add notes a slot, whose outcome has an id that is not there.
func (s *slots) add(ring []outcome, slot uint32) {
	if s.count++; 2*s.count > len(s.table) {
		old := s.table
		s.table = make([]uint32, 2*len(old))
		for _, kept := range old {
			if kept != 0 {
				at, _ := s.find(ring, &ring[kept-1].id)
				s.table[at] = kept
			}
		}
	}
	at, _ := s.find(ring, &ring[slot].id)
	s.table[at] = slot + 1
}

// remove forgets a slot, and moves up what was put behind it for want of room.
func (s *slots) remove(ring []outcome, slot uint32) {
	hole, ok := s.find(ring, &ring[slot].id)
	if !ok {
		return
	}
	s.count--
	for at := s.next(hole); s.table[at] != 0; at = s.next(at) {
		home := s.home(&ring[s.table[at]-1].id)
		if s.distance(home, at) >= s.distance(hole, at) {
			s.table[hole], hole = s.table[at], at
		}
	}
	s.table[hole] = 0
}

// distance is how many steps it takes from one place to another.
func (s *slots) distance(from, to int) int { return (to - from) & (len(s.table) - 1) }
