package fairness

import "container/heap"

// estimate is what a seat is taken to be held for until it is known: most
// requests take less, and the difference is given back.
const estimate = 1e-3 // seconds

// A queue orders who waits by start-time fair queuing (Goyal et al., 1996), in
// which every flow (a caller) has a clock of its own that runs with the seats and
// the time that it used. The one whose clock is the most behind is next. It has no
// lock, clock or goroutine.
type queue struct {
	flows   map[string]*flow
	order   order   // flows in which somebody waits, by their clocks
	virtual float64 // the clock of the flow that was served last, in seat-seconds
	length  int
	most    int // waiters
}

// flow is one caller, while it waits or its clock is ahead.
type flow struct {
	name    string
	clock   float64
	waiting []*waiter // the first come first
	place   int       // in order; -1 if nobody waits
}

// waiter is one request in the queue.
type waiter struct {
	flow  *flow // nil once it is out
	width int64
	ready chan bool // told once: whether it has its seats, or was pushed out
}

func newQueue(most int) *queue {
	return &queue{flows: map[string]*flow{}, most: most}
}

func (q *queue) flow(name string) *flow {
	f := q.flows[name]
	if f == nil {
		q.sweep()
		f = &flow{name: name, clock: q.virtual, place: -1}
		q.flows[name] = f
	}
	return f
}

// sweep forgets flows that are as if they had never been there.
func (q *queue) sweep() {
	if len(q.flows) < 2*len(q.order)+64 {
		return
	}
	for name, f := range q.flows {
		if f.place < 0 && f.clock <= q.virtual {
			delete(q.flows, name)
		}
	}
}

// push puts a request in the queue. When that is full, the flow with the most
// waiters gives way with its last one, which is returned: w itself, if the flow is
// its own.
func (q *queue) push(name string, w *waiter) (out *waiter) {
	f := q.flow(name)
	if q.length >= q.most {
		longest := q.longest()
		if longest == nil || len(longest.waiting) <= len(f.waiting)+1 {
			return w
		}
		out = longest.waiting[len(longest.waiting)-1]
		q.remove(out)
	}
	w.flow = f
	f.waiting = append(f.waiting, w)
	q.length++
	if f.place < 0 {
		f.clock = max(f.clock, q.virtual)
		heap.Push(&q.order, f)
	}
	return out
}

func (q *queue) longest() *flow {
	var found *flow
	for _, f := range q.order {
		if found == nil || len(f.waiting) > len(found.waiting) {
			found = f
		}
	}
	return found
}

// next is the request to serve next, nil if none waits.
func (q *queue) next() *waiter {
	if len(q.order) == 0 {
		return nil
	}
	return q.order[0].waiting[0]
}

// pop takes the next one out, as one that is being served.
func (q *queue) pop() *waiter {
	w := q.next()
	q.virtual = max(q.virtual, w.flow.clock)
	w.flow.clock += float64(w.width) * estimate
	q.remove(w)
	return w
}

// remove takes a request out wherever it is.
func (q *queue) remove(w *waiter) {
	f := w.flow
	for i, other := range f.waiting {
		if other == w {
			f.waiting = append(f.waiting[:i], f.waiting[i+1:]...)
			break
		}
	}
	w.flow = nil
	q.length--
	if len(f.waiting) > 0 {
		heap.Fix(&q.order, f.place)
	} else {
		heap.Remove(&q.order, f.place)
	}
	if q.length == 0 { // a queue that nobody waits in remembers nothing
		clear(q.flows)
		q.virtual = 0
	}
}

// charge sets a flow's clock right when it is known how long it held seats.
func (q *queue) charge(name string, seats int64, seconds float64) {
	if q.length == 0 {
		return
	}
	f := q.flow(name)
	f.clock += float64(seats) * (seconds - estimate)
	if f.place >= 0 {
		heap.Fix(&q.order, f.place)
	}
}

// order is a heap of flows.
type order []*flow

func (o order) Len() int           { return len(o) }
func (o order) Less(i, j int) bool { return o[i].clock < o[j].clock }
func (o order) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].place, o[j].place = i, j
}

func (o *order) Push(x any) {
	f := x.(*flow)
	f.place = len(*o)
	*o = append(*o, f)
}

func (o *order) Pop() any {
	last := len(*o) - 1
	f := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	f.place = -1
	return f
}
