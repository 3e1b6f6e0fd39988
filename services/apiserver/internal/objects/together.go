package objects

import (
	"context"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Changes of a namespace with a quota all write that quota. Planned each for itself,
// one of those that arrive together would win and the others would plan again, so they
// stand in a line by namespace. Who is first plans all that wait, one on top of the
// other, and proposes them as one transaction; then the next in line does the same
// with those that came meanwhile. A refusal of one has no part in the others.

// Limits of what goes together.
const (
	togetherChanges    = 256
	togetherOperations = 900
	togetherBytes      = 1 << 20 // of values; what is larger goes alone
)

// lines are those who wait, by namespace. The zero value is empty.
type lines struct {
	mu sync.Mutex
	of map[string]*line
}

// line is there while somebody leads it.
type line struct{ waiting []*waiter }

// waiter is one call. Who leads has it to itself from when it is taken from the line
// until done is closed.
type waiter struct {
	steps []step
	lead  chan struct{} // closed when it is to lead
	done  chan struct{} // closed when it is answered

	outcomes []Outcome
	err      error
}

// together commits steps that change quotas of a namespace, with others that do.
func (s *Service) together(ctx context.Context, namespace string, steps []step) ([]Outcome, error) {
	w := &waiter{steps: steps, lead: make(chan struct{}), done: make(chan struct{})}
	if s.lines.join(namespace, w) {
		close(w.lead)
	}
	select {
	case <-w.lead:
		s.leadLine(ctx, namespace, w)
	case <-w.done:
	case <-ctx.Done():
		if s.lines.leave(namespace, w) {
			return nil, unavailable(context.Cause(ctx))
		}
		// It is being carried out, or is to lead: others wait for that.
		select {
		case <-w.lead:
			s.leadLine(ctx, namespace, w)
		case <-w.done:
		}
	}
	return w.outcomes, w.err
}

// join puts w into the line; it leads if there was none.
func (l *lines) join(namespace string, w *waiter) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in, ok := l.of[namespace]
	if !ok {
		in = &line{}
		if l.of == nil {
			l.of = map[string]*line{}
		}
		l.of[namespace] = in
	}
	in.waiting = append(in.waiting, w)
	return !ok
}

// leave takes w out of the line, unless it was taken from there.
func (l *lines) leave(namespace string, w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.of[namespace]
	select {
	case <-w.lead:
		return false
	default:
	}
	if in == nil || !slices.Contains(in.waiting, w) {
		return false
	}
	in.waiting = slices.DeleteFunc(slices.Clone(in.waiting), func(other *waiter) bool { return other == w })
	return true
}

// take returns those who are next, w among them.
func (l *lines) take(namespace string) []*waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.of[namespace]
	n := min(len(in.waiting), togetherChanges)
	taken := in.waiting[:n:n]
	in.waiting = in.waiting[n:]
	return taken
}

// pass puts back who could not go along and has the first in line lead.
func (l *lines) pass(namespace string, back []*waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.of[namespace]
	in.waiting = append(back, in.waiting...)
	if len(in.waiting) == 0 {
		delete(l.of, namespace)
		return
	}
	close(in.waiting[0].lead)
}

// leadLine carries out w and those behind it. The first always goes along, so that w
// is answered when it returns.
func (s *Service) leadLine(ctx context.Context, namespace string, w *waiter) {
	// What others wait for does not end with the call of who does it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	s.lines.pass(namespace, s.carry(ctx, s.lines.take(namespace)))
	<-w.done
}

// carry commits what waits and returns those that did not fit with the others.
func (s *Service) carry(ctx context.Context, waiting []*waiter) (left []*waiter) {
	for range raceLimit {
		view, err := s.read(ctx)
		if err != nil {
			answerAll(waiting, unavailable(err))
			return nil
		}
		g := s.group(view, waiting)
		if done, err := s.applyGroup(ctx, g); err != nil {
			answerAll(g.along, err)
		} else if !done {
			continue
		}
		for _, w := range g.refused {
			close(w.done)
		}
		return g.left
	}
	answerAll(waiting, errRaced())
	return nil
}

func answerAll(waiting []*waiter, err error) {
	for _, w := range waiting {
		w.outcomes, w.err = nil, err
		close(w.done)
	}
}

// group is what was planned together. Who was refused is so only if it is applied:
// what went before may have been why.
type group struct {
	plan                 *plan
	bytes                int // of values
	along, refused, left []*waiter
}

// group plans those that wait, each on top of those before it.
func (s *Service) group(view state.View, waiting []*waiter) *group {
	now := s.now()
	g := &group{plan: &plan{view: view, now: now, kinds: s.kinds}}
	for i, w := range waiting {
		if len(g.plan.tx.Operations) >= togetherOperations {
			g.left = append(g.left, waiting[i:]...)
			break
		}
		p := &plan{view: view, now: now, kinds: s.kinds, ledger: g.plan.ledger.copy()}
		w.outcomes, w.err = p.run(w.steps)
		switch {
		case w.err != nil || p.written.empty():
			g.refused = append(g.refused, w)
		case g.fits(p) && g.plan.absorb(p, w.outcomes):
			g.along = append(g.along, w)
		default:
			g.left = append(g.left, w)
		}
	}
	return g
}

// fits tells whether the group stays of a size that can be proposed. What is first
// always goes.
func (g *group) fits(p *plan) bool {
	size := 0
	for _, op := range p.tx.Operations {
		size += len(op.GetValue())
	}
	if len(g.along) > 0 && g.bytes+size > togetherBytes {
		return false
	}
	g.bytes += size
	return true
}

// applyGroup proposes the group; it is done unless a precondition failed.
func (s *Service) applyGroup(ctx context.Context, g *group) (bool, error) {
	if len(g.along) == 0 {
		return true, nil
	}
	if err := g.plan.settleLedger(); err != nil {
		return false, err
	}
	var outcomes []Outcome
	for _, w := range g.along {
		outcomes = append(outcomes, w.outcomes...)
	}
	done, err := s.apply(ctx, g.plan, outcomes)
	if !done || err != nil {
		return done, err
	}
	for _, w := range g.along {
		n := len(w.outcomes)
		w.outcomes, outcomes = outcomes[:n:n], outcomes[n:]
		close(w.done)
	}
	return true, nil
}

// absorb adds another plan's operations, unless both touch one key and either changes
// it. The outcomes are made to name the operations as they are then.
func (p *plan) absorb(other *plan, outcomes []Outcome) bool {
	for _, op := range other.tx.Operations {
		key := keyOf(op)
		if p.written.has(key) || op.GetAction() != storev1.Action_ACTION_UNSPECIFIED && p.checked.has(key) {
			return false
		}
	}
	at := make([]int, len(other.tx.Operations))
	for i, op := range other.tx.Operations {
		key := keyOf(op)
		if op.GetAction() == storev1.Action_ACTION_UNSPECIFIED {
			if p.checked.has(key) {
				continue
			}
			p.checked.add(key)
		} else {
			p.written.add(key)
		}
		at[i] = len(p.tx.Operations)
		p.tx.Operations = append(p.tx.Operations, op)
	}
	for i := range outcomes {
		if outcomes[i].operation >= 0 {
			outcomes[i].operation = at[outcomes[i].operation]
		}
	}
	p.ledger = other.ledger
	return true
}

func keyOf(op *storev1.Operation) state.Key {
	k := op.GetKey()
	return state.Key{Resource: k.GetResource(), Namespace: k.GetNamespace(), Name: k.GetName()}
}

func errRaced() error {
	return apierrors.NewTooManyRequests("the object is being changed by many clients at once, please try again", 1)
}
