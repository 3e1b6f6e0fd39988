package queue

import "container/heap"

// pile is a heap whose items know where they are.
type pile struct {
	items []*Item
	less  func(a, b *Item) bool
}

func (p *pile) add(it *Item) {
	it.where = p
	heap.Push(p, it)
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (p *pile) Len() int { return len(p.items) }

// Less orders by the pile's function.
func (p *pile) Less(i, j int) bool { return p.less(p.items[i], p.items[j]) }

// Swap keeps the indexes right.
func (p *pile) Swap(i, j int) {
	p.items[i], p.items[j] = p.items[j], p.items[i]
	p.items[i].index, p.items[j].index = i, j
}

// Push appends an item.
func (p *pile) Push(x any) {
	it := x.(*Item)
	it.index = len(p.items)
	p.items = append(p.items, it)
}

// Pop removes the last item.
func (p *pile) Pop() any {
	last := len(p.items) - 1
	it := p.items[last]
	p.items[last] = nil
	p.items = p.items[:last]
	it.where = nil
	return it
}
