package exchange

import (
	"runtime"
	"sync"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// outbox sends answers, and the request to go. Whoever brings some while nobody
// sends does so, also what others bring meanwhile: a goroutine of its own would
// have to be woken for each message.
type outbox struct {
	send func(*apiv1.ExchangeResponse) error

	mu      sync.Mutex
	answers []*apiv1.Answer
	closing bool // the client is to be asked to go
	sending bool
	err     error // of the message that could not be sent: none can since
	spare   []*apiv1.Answer
}

// put sends answers. With company, others are likely to have answers at the same
// moment, which go in the same message.
func (o *outbox) put(answers []*apiv1.Answer, company bool) {
	o.mu.Lock()
	o.answers = append(o.answers, answers...)
	o.flush(company)
}

// close asks the client to make no more calls.
func (o *outbox) close() {
	o.mu.Lock()
	o.closing = true
	o.flush(false)
}

// flush sends what is there and unlocks, unless somebody else sends.
func (o *outbox) flush(company bool) {
	if o.sending || o.err != nil {
		o.mu.Unlock()
		return
	}
	o.sending = true
	for o.err == nil && (len(o.answers) > 0 || o.closing) {
		if company {
			o.mu.Unlock()
			runtime.Gosched()
			o.mu.Lock()
		}
		answers, closing := o.answers, o.closing
		o.answers, o.closing = o.spare[:0], false
		o.mu.Unlock()
		err := o.message(answers, closing)
		clear(answers)
		o.mu.Lock()
		o.spare, o.err = answers, err
	}
	o.sending = false
	o.mu.Unlock()
}

// message sends answers in as many messages as they need, one at least, the last
// of which asks the client to go.
func (o *outbox) message(answers []*apiv1.Answer, closing bool) error {
	for {
		n := fitting(answers)
		if err := o.send(&apiv1.ExchangeResponse{Answers: answers[:n], Closing: closing && n == len(answers)}); err != nil {
			return err
		}
		if answers = answers[n:]; len(answers) == 0 {
			return nil
		}
	}
}

// failed returns the error that sending ended with.
func (o *outbox) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
