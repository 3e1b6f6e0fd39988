package objects

import (
	"context"
	"sync"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// Answered is called with what became of the call at an index. It may be called
// from any goroutine, for several calls at the same time.
type Answered func(i int, object Stored, gone bool, err error)

// GetEach reads several objects linearizably, at the price of one read.
func (s *Service) GetEach(ctx context.Context, targets []Target, answered Answered) {
	view, err := s.read(ctx)
	if err != nil {
		err = unavailable(err)
	}
	for i, t := range targets {
		var stored Stored
		refused := s.authorize(ctx, "get", t, nil)
		switch {
		case refused == nil && err == nil:
			stored, refused = s.get(ctx, view, t)
		case refused == nil:
			refused = err
		}
		answered(i, stored, false, refused)
	}
}

// Each carries out changes that arrived together, each for itself: what becomes
// of one has no part in what becomes of another. It returns when all are
// answered. Those that can be planned on what is here share the way to the
// others; those that lost a race, or may be refused only because this member is
// behind, go on alone.
func (s *Service) Each(ctx context.Context, changes []Change, answered Answered) {
	steps := make([]step, len(changes))
	plans := make([]*plan, 0, len(changes))
	outcomes := make([]Outcome, len(changes))
	at := make([]int, 0, len(changes)) // of the plans
	var late []int
	view := s.replica.Store().View()
	for i, c := range changes {
		var err error
		if steps[i], err = s.changeStep(ctx, c); err != nil {
			answered(i, Stored{}, false, err)
			continue
		}
		p := newPlan(ctx, view, s.now())
		if outcomes[i], err = steps[i](p); err != nil || c.DryRun || len(p.written) == 0 {
			late = append(late, i)
			continue
		}
		plans, at = append(plans, p), append(at, i)
	}
	var alone sync.WaitGroup
	again := func(i int) {
		alone.Go(func() {
			again, err := s.commitFresh(ctx, changes[i].DryRun, steps[i])
			if err == nil {
				outcomes[i] = again[0]
			}
			s.answer(i, changes[i], outcomes[i], err, answered)
		})
	}
	for _, i := range late {
		again(i)
	}
	for j, settled := range s.propose(ctx, plans) {
		i := at[j]
		if settled.Err == nil && settled.Result.GetFailedOperation() >= 0 {
			again(i)
			continue
		}
		outcomes[i].revise(settled.Result)
		s.answer(i, changes[i], outcomes[i], settled.Err, answered)
	}
	alone.Wait()
}

func (s *Service) answer(i int, c Change, o Outcome, err error, answered Answered) {
	if err == nil && (c.Update != nil || c.Patch != nil) {
		o.Object, err = through(c.Target, o.Object)
	}
	if err != nil {
		o = Outcome{}
	}
	answered(i, o.Object, o.Gone, err)
}

// propose applies plans, each as a transaction; an error is the caller's answer.
func (s *Service) propose(ctx context.Context, plans []*plan) []replica.Outcome {
	transactions := make([]*storev1.Transaction, len(plans))
	for i, p := range plans {
		transactions[i] = p.transaction()
	}
	outcomes := s.replica.ApplyAll(ctx, transactions)
	for i, o := range outcomes {
		if o.Err != nil {
			outcomes[i].Err = unsettled(o.Err)
		}
	}
	return outcomes
}
