package exchange

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

func TestOutboxSendsEachAnswerOnce(t *testing.T) {
	const senders, each = 20, 200
	seen := map[uint64]int{}
	closing, messages := 0, 0
	o := &outbox{send: func(r *apiv1.ExchangeResponse) error { // by one at a time, or the race detector says so
		messages++
		for _, a := range r.GetAnswers() {
			seen[a.GetId()]++
		}
		if r.GetClosing() {
			closing++
		}
		return nil
	}}
	var all sync.WaitGroup
	for i := range uint64(senders) {
		all.Go(func() {
			for n := range uint64(each) {
				o.put([]*apiv1.Answer{{Id: i*each + n}}, n%2 == 0)
			}
		})
	}
	all.Go(o.close)
	all.Wait()
	if len(seen) != senders*each || closing != 1 || messages > senders*each+1 {
		t.Errorf("%d answers of %d in %d messages, %d of them closing", len(seen), senders*each, messages, closing)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("answer %d was sent %d times", id, n)
		}
	}
}

// What comes while a message is sent is sent by who sends that.
func TestOutboxHoldsUpOnlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []int
		free := make(chan struct{})
		o := &outbox{send: func(r *apiv1.ExchangeResponse) error {
			sent = append(sent, len(r.GetAnswers()))
			<-free
			return nil
		}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			o.put([]*apiv1.Answer{{}}, false)
		}()
		synctest.Wait()
		for range 3 {
			o.put([]*apiv1.Answer{{}}, false) // does not wait
		}
		close(free)
		<-done
		if len(sent) != 2 || sent[0] != 1 || sent[1] != 3 {
			t.Errorf("messages of %v answers", sent)
		}
	})
}

func TestOutboxEndsWithTheStream(t *testing.T) {
	broken := errors.New("broken")
	calls := 0
	o := &outbox{send: func(*apiv1.ExchangeResponse) error { calls++; return broken }}
	o.put([]*apiv1.Answer{{}}, false)
	o.put([]*apiv1.Answer{{}}, false)
	o.close()
	if calls != 1 || !errors.Is(o.failed(), broken) {
		t.Errorf("%d messages, %v", calls, o.failed())
	}
}
