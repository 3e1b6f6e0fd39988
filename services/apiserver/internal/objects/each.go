package objects

import (
	"context"
	"sync"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// GetEach reads several objects linearizably, at the price of one read, and calls
// got with what became of each.
func (s *Service) GetEach(ctx context.Context, targets []Target, got func(i int, o Stored, err error)) {
	view, err := s.read(ctx)
	if err != nil {
		err = unavailable(err)
	}
	s.getEach(ctx, view, err, targets, got)
}

// Now is what a member has that need not ask others for the latest state.
type Now struct {
	service *Service
	view    state.View
}

// Now returns the latest state, or false where other members must be asked for it.
func (s *Service) Now() (Now, bool) {
	view, ok := s.replica.ReadNow()
	return Now{service: s, view: view}, ok
}

// GetEach calls got with what becomes of each read, at once.
func (n Now) GetEach(ctx context.Context, targets []Target, got func(i int, o Stored, err error)) {
	n.service.getEach(ctx, n.view, nil, targets, got)
}

// getEach reads from the view, unless there is none because of err.
func (s *Service) getEach(ctx context.Context, view state.View, err error, targets []Target, got func(i int, o Stored, err error)) {
	for i, t := range targets {
		var stored Stored
		refused := s.authorize(ctx, "get", t, nil)
		switch {
		case refused == nil && err == nil:
			stored, refused = s.get(ctx, view, t)
		case refused == nil:
			refused = err
		}
		got(i, stored, refused)
	}
}

// Answer is what became of one of several changes.
type Answer struct {
	// Change is its index.
	Change int
	// Outcome of the change, unless Err is set.
	Outcome
	Err error
}

// Answered is called with what became of some changes, one at least. It may be
// called from any goroutine, several times at once, and must not keep the slice.
type Answered func(answers ...Answer)

// Each carries out changes that arrived together, each for itself: what becomes
// of one has no part in what becomes of another. It returns when all are
// answered. Those that can be planned on what is here share the way to the
// others; those that lost a race, or may be refused only because this member is
// behind, go on alone.
func (s *Service) Each(ctx context.Context, changes []Change, answered Answered) {
	steps := make([]step, len(changes))
	var alone sync.WaitGroup
	again := func(i int) {
		alone.Go(func() { answered(s.alone(ctx, i, changes[i], steps[i])) })
	}
	plans := make([]*plan, 0, len(changes))
	answers := make([]Answer, 0, len(changes)) // of the plans
	view, now := s.replica.Store().View(), s.now()
	for i, c := range changes {
		if answer, ok := s.answererOf(c); ok {
			alone.Go(func() {
				o, err := s.answer(ctx, c.Target, c.Create, answer)
				answered(Answer{Change: i, Outcome: Outcome{Object: o}, Err: err})
			})
			continue
		}
		var err error
		if steps[i], err = s.changeStep(ctx, c); err != nil {
			answered(Answer{Change: i, Err: err})
			continue
		}
		p := &plan{kinds: s.kinds, view: view, now: now}
		outcome, err := steps[i](p)
		if err != nil || c.DryRun || p.written.empty() {
			again(i)
			continue
		}
		if p.ledger.changed() {
			if namespace, ok := p.alone(); ok {
				alone.Go(func() { answered(s.inLine(ctx, namespace, i, c, steps[i])) })
			} else {
				again(i)
			}
			continue
		}
		plans, answers = append(plans, p), append(answers, Answer{Change: i, Outcome: outcome})
	}
	settled := answers[:0]
	for j, result := range s.propose(ctx, plans) {
		a := answers[j]
		if result.Err == nil && result.Result.GetFailedOperation() >= 0 {
			again(a.Change)
			continue
		}
		a.revise(result.Result)
		a.Err = result.Err
		settled = append(settled, a.through(changes[a.Change]))
	}
	if len(settled) > 0 {
		answered(settled...)
	}
	alone.Wait()
}

// alone carries out one of the changes that no other one waits for.
func (s *Service) alone(ctx context.Context, i int, c Change, st step) Answer {
	a := Answer{Change: i}
	outcomes, err := s.commitFresh(ctx, c.DryRun, st)
	if err == nil {
		a.Outcome = outcomes[0]
	}
	a.Err = err
	return a.through(c)
}

// inLine carries out one of the changes with all that charge the same quotas.
func (s *Service) inLine(ctx context.Context, namespace string, i int, c Change, st step) Answer {
	a := Answer{Change: i}
	outcomes, err := s.together(ctx, namespace, []step{st})
	if err == nil {
		a.Outcome = outcomes[0]
	}
	a.Err = err
	return a.through(c)
}

// through makes the answer's object what the change was made through.
func (a Answer) through(c Change) Answer {
	if a.Err == nil && (c.Update != nil || c.Patch != nil) {
		a.Object, a.Err = through(c.Target, a.Object)
	}
	return a
}

// propose applies plans, each as a transaction; an error is the caller's answer.
func (s *Service) propose(ctx context.Context, plans []*plan) []replica.Outcome {
	outcomes := s.replica.ApplyAll(ctx, transactions(plans...))
	for i, o := range outcomes {
		if o.Err != nil {
			outcomes[i].Err = unsettled(o.Err)
		}
	}
	return outcomes
}
