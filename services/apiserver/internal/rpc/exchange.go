package rpc

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/sdk/exchange"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// CallTimeout bounds a call that is no stream, as it bounds a REST request.
const CallTimeout = 60 * time.Second

// streamLife is how long a stream of calls is kept, give or take a half. Who
// calls is settled when it begins: a certificate that has expired meanwhile, or
// is no longer accepted, is good for no longer than this.
const streamLife = 5 * time.Minute

// Exchange answers calls on single objects.
func (s *Service) Exchange(stream grpc.BidiStreamingServer[apiv1.ExchangeRequest, apiv1.ExchangeResponse]) error {
	life, cancel := context.WithTimeout(s.life, streamLife/2+rand.N(streamLife))
	defer cancel()
	return exchange.Serve(stream, life.Done(), s.answerNow, s.Answer)
}

// Stop asks the clients that exchange calls to go to another server.
func (s *Service) Stop() { s.stop() }

// Answer answers calls that arrived together: the reads by one read, the writes
// by as few log entries as they fit in.
func (s *Service) Answer(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
	ctx, cancel := context.WithTimeout(ctx, timeoutOf(calls))
	defer cancel()
	if s.log != nil {
		answer = s.exchanged(ctx, calls, answer)
	}
	seat, err := s.gate.Seat(ctx, fairness.BatchWidth(len(calls)))
	if err != nil {
		refuse(calls, asStatus(err), answer)
		return
	}
	defer seat.Release()
	gets, changes := parted(calls)
	var rest sync.WaitGroup
	switch {
	case len(changes) == 0:
		s.getEach(ctx, gets, answer)
		return
	case len(gets) > 0:
		rest.Go(func() { s.getEach(ctx, gets, answer) })
	}
	s.changeEach(ctx, changes, answer)
	rest.Wait()
}

func refuse(calls []*apiv1.Call, err error, answer func(...*apiv1.Answer)) {
	answers := make([]*apiv1.Answer, len(calls))
	for i, c := range calls {
		answers[i] = exchange.Refused(c, err)
	}
	answer(answers...)
}

// parted returns the reads and the writes. Mostly all calls are one of the two.
func parted(calls []*apiv1.Call) (gets, changes []*apiv1.Call) {
	first := slices.IndexFunc(calls, isChange)
	if first < 0 {
		return calls, nil
	}
	if first == 0 && !slices.ContainsFunc(calls, func(c *apiv1.Call) bool { return !isChange(c) }) {
		return nil, calls
	}
	for _, c := range calls {
		if isChange(c) {
			changes = append(changes, c)
		} else {
			gets = append(gets, c)
		}
	}
	return gets, changes
}

func isChange(c *apiv1.Call) bool { return c.GetGet() == nil }

// answerNow answers calls that read, where this member can without asking others.
func (s *Service) answerNow(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) bool {
	if s.log != nil || slices.ContainsFunc(calls, isChange) {
		return false
	}
	seat, ok := s.gate.SeatNow(ctx, fairness.BatchWidth(len(calls)))
	if !ok {
		return false
	}
	defer seat.Release()
	now, ok := s.objects.Now()
	if ok {
		r := s.reads(calls)
		now.GetEach(ctx, r.targets, r.got)
		answer(r.answers...)
	}
	return ok
}

// timeoutOf is the longest that a client waits for one of its calls.
func timeoutOf(calls []*apiv1.Call) time.Duration {
	var longest time.Duration
	for _, c := range calls {
		asked := time.Duration(c.GetTimeoutNanos())
		if asked <= 0 {
			return CallTimeout
		}
		longest = max(longest, asked)
	}
	return min(longest, CallTimeout)
}

func (s *Service) getEach(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
	reads := s.reads(calls)
	if len(reads.targets) > 0 {
		s.objects.GetEach(ctx, reads.targets, reads.got)
	}
	answer(reads.answers...)
}

// reads are calls that read, and what becomes of them.
type reads struct {
	calls   []*apiv1.Call
	targets []objects.Target
	answers []*apiv1.Answer
}

// reads returns those of the calls that name something to read, and the answers to
// the others.
func (s *Service) reads(calls []*apiv1.Call) *reads {
	r := &reads{
		calls: make([]*apiv1.Call, 0, len(calls)), targets: make([]objects.Target, 0, len(calls)),
		answers: make([]*apiv1.Answer, 0, len(calls)),
	}
	for _, c := range calls {
		t, err := s.target(c.GetGet().GetKey(), c.GetGet().GetSubresource())
		if err != nil {
			r.answers = append(r.answers, exchange.Refused(c, asStatus(err)))
			continue
		}
		r.calls, r.targets = append(r.calls, c), append(r.targets, t)
	}
	return r
}

func (r *reads) got(i int, o objects.Stored, err error) {
	r.answers = append(r.answers, answerOf(r.calls[i], o, false, err))
}

func (s *Service) changeEach(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
	valid := make([]*apiv1.Call, 0, len(calls))
	changes := make([]objects.Change, 0, len(calls))
	for _, c := range calls {
		change, err := s.change(c.GetOperation(), nil)
		if err != nil {
			answer(exchange.Refused(c, asStatus(err)))
			continue
		}
		valid, changes = append(valid, c), append(changes, change)
	}
	s.objects.Each(objects.WithManager(ctx, nameOf(ctx)), changes, func(done ...objects.Answer) {
		answers := make([]*apiv1.Answer, len(done))
		for i, a := range done {
			answers[i] = answerOf(valid[a.Change], a.Object, a.Gone, a.Err)
		}
		answer(answers...)
	})
}

func answerOf(c *apiv1.Call, o objects.Stored, gone bool, err error) *apiv1.Answer {
	if err != nil {
		return exchange.Refused(c, asStatus(err))
	}
	if metadata, ok := exchange.Spare(c, o.Type, o.Value); ok {
		o.Value = metadata
		return &apiv1.Answer{Id: c.GetId(), Object: wrap(o), Gone: gone, Spared: true}
	}
	return &apiv1.Answer{Id: c.GetId(), Object: wrap(o), Gone: gone}
}
