package objects

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/pod"
)

const budgets = "poddisruptionbudgets.policy"

// evictStep plans the deletion of a pod together with what it takes from the budget
// that guards it: both are one transaction, so no budget is charged in vain and none
// is passed by.
func (s *Service) evictStep(ctx context.Context, t Target, action registry.Object) (step, error) {
	if err := s.authorize(ctx, "create", t, nil); err != nil {
		return nil, err
	}
	eviction, ok := action.(*policyv1.Eviction)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Eviction object: %T", action))
	}
	if eviction.Name != t.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	var o metav1.DeleteOptions
	if eviction.DeleteOptions != nil {
		o = *eviction.DeleteOptions.DeepCopy()
	}
	if err := validateDelete(o); err != nil {
		return nil, err
	}
	now := s.now()
	return func(p *plan) (Outcome, error) {
		if len(o.DryRun) > 0 {
			p = p.aside()
		}
		return s.evict(ctx, p, t, o, now)
	}, nil
}

// aside is a plan of the same state that comes to nothing: that of a dry run.
func (p *plan) aside() *plan { return &plan{view: p.view, now: p.now} }

func (s *Service) evict(ctx context.Context, p *plan, t Target, o metav1.DeleteOptions, now time.Time) (Outcome, error) {
	was, obj, err := p.load(t)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.authorizeChange(ctx, "create", t, obj, nil); err != nil {
		return Outcome{}, err
	}
	victim := obj.(*corev1.Pod)
	if pod.Guarded(victim) {
		if err := s.chargeBudget(p, victim, now); err != nil {
			return Outcome{}, err
		}
	}
	if err := evictable(t, victim, o.Preconditions); err != nil {
		return Outcome{}, err
	}
	pod.MarkEvicted(victim, now)
	return p.end(t, was, victim, o, now)
}

// chargeBudget plans what the eviction takes from the budget of the pod, if it has
// one.
func (s *Service) chargeBudget(p *plan, victim *corev1.Pod, now time.Time) error {
	t, err := s.budgetOf(p, victim)
	if err != nil || t.Name == "" {
		return err
	}
	was, obj, err := p.load(t)
	if err != nil {
		return err
	}
	budget := obj.(*policyv1.PodDisruptionBudget)
	charged, err := pod.Disrupt(budget, victim, now)
	if err != nil {
		return err
	}
	if !charged {
		p.check(was.entry)
		return nil
	}
	_, err = p.store(t, was, nil, budget)
	return err
}

// budgetOf finds the one budget that selects the pod; none has no name.
func (s *Service) budgetOf(p *plan, pod *corev1.Pod) (Target, error) {
	kind, ok := s.kinds.ByStoreResource(budgets)
	if !ok {
		return Target{}, fmt.Errorf("kind of %s is not served", budgets)
	}
	found := Target{Kind: kind, Namespace: pod.Namespace}
	for e := range p.view.List(budgets, pod.Namespace) {
		budget := &policyv1.PodDisruptionBudget{}
		if err := budget.Unmarshal(e.Value()); err != nil {
			return Target{}, fmt.Errorf("decode budget: %w", err)
		}
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if found.Name != "" {
			return Target{}, severalBudgets()
		}
		found.Name = budget.Name
	}
	return found, nil
}

func severalBudgets() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
		Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
	}}
}

// evictable checks the preconditions of an eviction, which hold where they are empty.
func evictable(t Target, pod *corev1.Pod, pre *metav1.Preconditions) error {
	switch {
	case pre == nil:
	case pre.UID != nil && *pre.UID != "" && *pre.UID != pod.UID:
		return mismatch(t, "UID", string(*pre.UID), string(pod.UID), "deleted and then recreated")
	case pre.ResourceVersion != nil && *pre.ResourceVersion != "" && *pre.ResourceVersion != pod.ResourceVersion:
		return mismatch(t, "ResourceVersion", *pre.ResourceVersion, pod.ResourceVersion, "modified")
	}
	return nil
}
