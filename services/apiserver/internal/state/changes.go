package state

import storev1 "github.com/musterhq/muster/proto/muster/store/v1"

// changesFew is how many operations are compared with each other; to remember the
// keys of more in a map costs less.
const changesFew = 16

// changes tells whether operations of a transaction change the same key.
type changes struct {
	ops  []*storev1.Operation
	seen map[Key]bool // of the operations up to the one asked for last
	next int          // the first that is not in seen
}

// before tells whether an operation before i changes a key. i grows from call to
// call.
func (c *changes) before(i int, key Key) bool {
	if len(c.ops) <= changesFew {
		for _, op := range c.ops[:i] {
			if op.GetAction() != storev1.Action_ACTION_UNSPECIFIED && keyOf(op.GetKey()) == key {
				return true
			}
		}
		return false
	}
	if c.seen == nil {
		c.seen = make(map[Key]bool, len(c.ops))
	}
	for ; c.next < i; c.next++ {
		if op := c.ops[c.next]; op.GetAction() != storev1.Action_ACTION_UNSPECIFIED {
			c.seen[keyOf(op.GetKey())] = true
		}
	}
	return c.seen[key]
}
