package exchange

import (
	"testing"
	"time"

	"google.golang.org/grpc"

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

// sentCalls is a stream of which only what is sent counts.
type sentCalls struct {
	grpc.BidiStreamingClient[apiv1.ExchangeRequest, apiv1.ExchangeResponse]
	ids []uint64
}

func (s *sentCalls) Send(r *apiv1.ExchangeRequest) error {
	for _, c := range r.GetCalls() {
		s.ids = append(s.ids, c.GetId())
	}
	return nil
}

// Only who is alone sends by himself: what was sent before could hold him up.
func TestCallerSendsAlone(t *testing.T) {
	stream := &sentCalls{}
	s := newSession(stream)
	defer s.end(nil)
	call := func() *waiter {
		w, _ := s.spare.Get().(*waiter)
		w.call, w.expires = &apiv1.Call{}, time.Now().Add(time.Hour)
		return w
	}
	first := call()
	if !s.sendAlone(first) || len(stream.ids) != 1 {
		t.Fatal("the first call was not sent by its caller")
	}
	if s.sendAlone(call()) {
		t.Error("a call was sent while another one waits")
	}
	if !s.forget(first) {
		t.Error("the call is not known")
	}
	if s.sendAlone(call()) {
		t.Error("a call was sent although the server has not answered what it was sent")
	}
	s.settle([]*apiv1.Answer{{Id: first.call.GetId()}})
	if !s.sendAlone(call()) || len(stream.ids) != 2 {
		t.Error("after that was answered a call is not sent by its caller")
	}
	s.settle([]*apiv1.Answer{{Id: stream.ids[1]}})
	if s.sendAlone(call()) {
		t.Error("a call was sent before the one who was just answered ran")
	}
	s.ran()
	s.leaving = true
	if s.sendAlone(call()) {
		t.Error("a call was sent on a stream that the server leaves")
	}
}
