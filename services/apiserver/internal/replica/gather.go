package replica

import "time"

// gather takes what has arrived, as far as the bounds go.
func (q *proposals) gather(first *proposal) {
	if q.next == nil {
		q.next = &batch{}
	}
	for p := first; ; {
		if q.held = nil; len(q.next.proposals) > 0 && !q.next.fits(p) {
			q.held = p
			return
		}
		q.next.add(p)
		select {
		case p = <-q.queue:
		default:
			return
		}
	}
}

// due tells whether what has gathered is to be tried now. While a batch is under
// way the next one waits until it is as large, so that few callers make batches
// of all of them and not many small ones.
func (q *proposals) due() bool {
	switch {
	case q.next == nil || q.flying >= batchesInFlight:
		return false
	case q.held != nil:
		return true
	case q.flying == 0:
		return !q.lingering || q.next.count >= q.expected
	case q.replica.IsLeader() && q.next.count < worthwhile:
		return false
	}
	return q.next.count >= q.underway
}

// depart begins the next batch.
func (q *proposals) depart() *batch {
	b := q.next
	b.begun, b.size, b.left = q.replica.config.Store.Transactions(), b.count, time.Now()
	q.lingering = false
	q.flying++
	q.underway += b.size
	if q.next = nil; q.held != nil {
		q.gather(q.held)
	}
	return b
}

// land ends a batch, all of whose proposals have their answer.
func (q *proposals) land(b *batch) {
	q.flying--
	q.underway -= b.size
	if q.flying == 0 && b.err == nil {
		q.await(b)
	}
}

// await has the next batch wait a little for those whose answer the last one was:
// they may well write again, and would else share every second one only.
func (q *proposals) await(b *batch) {
	q.expected = b.size
	if q.next != nil {
		q.expected += q.next.count
	}
	q.lingering = true
	q.linger.Reset(min(lingerFactor*time.Since(b.left), lingerMost))
}
