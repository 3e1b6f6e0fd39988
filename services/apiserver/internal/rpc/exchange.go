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
	return exchange.Serve(stream, life.Done(), s.Answer)
}

// Stop asks the clients that exchange calls to go to another server.
func (s *Service) Stop() { s.stop() }

// Answer answers calls that arrived together: the reads by one read, the writes
// by as few log entries as they fit in.
func (s *Service) Answer(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
	ctx, cancel := context.WithTimeout(ctx, timeoutOf(calls))
	defer cancel()
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

// parted returns the reads and the writes. Mostly all calls are one of the two.
func parted(calls []*apiv1.Call) (gets, changes []*apiv1.Call) {
	isGet := func(c *apiv1.Call) bool { return c.GetGet() != nil }
	first := slices.IndexFunc(calls, isGet)
	if first < 0 {
		return nil, calls
	}
	if first == 0 && !slices.ContainsFunc(calls, func(c *apiv1.Call) bool { return !isGet(c) }) {
		return calls, nil
	}
	for _, c := range calls {
		if isGet(c) {
			gets = append(gets, c)
		} else {
			changes = append(changes, c)
		}
	}
	return gets, changes
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
	plain := make([]*apiv1.Call, 0, len(calls))
	targets := make([]objects.Target, 0, len(calls))
	answers := make([]*apiv1.Answer, 0, len(calls))
	for _, c := range calls {
		t, err := s.target(c.GetGet().GetKey(), c.GetGet().GetSubresource())
		if err != nil {
			answers = append(answers, exchange.Refused(c, asStatus(err)))
			continue
		}
		plain, targets = append(plain, c), append(targets, t)
	}
	if len(targets) > 0 {
		s.objects.GetEach(ctx, targets, func(i int, o objects.Stored, err error) {
			answers = append(answers, answerOf(plain[i], o, false, err))
		})
	}
	answer(answers...)
}

func (s *Service) changeEach(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
	valid := make([]*apiv1.Call, 0, len(calls))
	changes := make([]objects.Change, 0, len(calls))
	for _, c := range calls {
		change, err := s.change(c.GetOperation())
		if err != nil {
			answer(exchange.Refused(c, asStatus(err)))
			continue
		}
		valid, changes = append(valid, c), append(changes, change)
	}
	s.objects.Each(ctx, changes, func(done ...objects.Answer) {
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
