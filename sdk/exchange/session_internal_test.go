package exchange

import (
	"testing"
	"time"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// queued adds a call to the session, and says whether that has it sent.
func queued(t *testing.T, s *session) (w *waiter, sent bool) {
	t.Helper()
	w, _ = s.spare.Get().(*waiter)
	w.call, w.expires = &apiv1.Call{}, time.Now().Add(time.Hour)
	if !s.add(w) {
		t.Fatal("the session takes no calls")
	}
	return w, roused(s)
}

func roused(s *session) bool {
	select {
	case <-s.wake:
		return true
	default:
		return false
	}
}

// Who was answered together is sent together, when the last of them had a chance
// to call again.
func TestCallsWaitForThoseJustAnswered(t *testing.T) {
	s := newSession(nil)
	defer s.end(nil)
	for range 3 {
		if _, sent := queued(t, s); !sent {
			t.Error("a call waits while nobody was answered")
		}
	}
	batch, _ := s.take()
	var answers []*apiv1.Answer
	for _, c := range batch {
		answers = append(answers, &apiv1.Answer{Id: c.GetId()})
	}
	s.settle(answers)
	s.ran()
	if _, sent := queued(t, s); sent {
		t.Error("the call of the first was sent before the others ran")
	}
	s.ran()
	if roused(s) {
		t.Error("it was sent before the last one ran")
	}
	if s.ran(); !roused(s) {
		t.Error("it was not sent when the last one ran")
	}
	if _, sent := queued(t, s); !sent {
		t.Error("a call waits after all have run")
	}
}

// A message that is full enough waits for nobody.
func TestManyCallsWaitForNobody(t *testing.T) {
	s := newSession(nil)
	defer s.end(nil)
	queued(t, s)
	batch, _ := s.take()
	s.settle([]*apiv1.Answer{{Id: batch[0].GetId()}})
	for i := range worthwhile {
		if _, sent := queued(t, s); sent != (i == worthwhile-1) {
			t.Fatalf("the call after %d others: sent is %v", i, sent)
		}
	}
}
