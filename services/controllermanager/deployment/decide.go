// Package deployment rolls a Deployment's ReplicaSets from one template to the
// next. Decide is pure; the Controller observes, asks it and acts.
package deployment

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

var kind = appsv1.SchemeGroupVersion.WithKind("Deployment")

// Observed is all that a decision depends on. Nothing of it is changed.
type Observed struct {
	Deployment *appsv1.Deployment
	// Sets are the ReplicaSets the deployment owns.
	Sets []*appsv1.ReplicaSet
	// Pods are those of the sets, ended ones included.
	Pods []*corev1.Pod
	// Now is the time conditions are judged at and stamped with.
	Now time.Time
}

// Event is one that the user should see on the deployment.
type Event struct{ Type, Reason, Message string }

// Plan is what has to be done, all of it together.
type Plan struct {
	// Create is the ReplicaSet of a template that had none, or nil.
	Create *appsv1.ReplicaSet
	// Update holds ReplicaSets as they should be.
	Update []*appsv1.ReplicaSet
	// Delete lists ReplicaSets that the history has no room for.
	Delete []*appsv1.ReplicaSet
	// Revision is the deployment's revision annotation, "" to leave it.
	Revision string
	// Status is the new status, nil to leave it.
	Status *appsv1.DeploymentStatus
	// Events to record once the plan is carried out.
	Events []Event
	// RequeueAfter is when to look again though nothing changed; 0 for never.
	RequeueAfter time.Duration
}

// rollout is a decision in the making: copies of what was observed, changed
// step by step; what differs from the original at the end becomes the plan.
type rollout struct {
	d      *appsv1.Deployment
	now    time.Time
	newSet *appsv1.ReplicaSet
	old    []*appsv1.ReplicaSet
	pods   []*corev1.Pod
	plan   Plan
}

// Decide returns the next step of the deployment.
func Decide(o Observed) (Plan, error) {
	r := &rollout{d: o.Deployment.DeepCopy(), now: o.Now, pods: o.Pods}
	for _, rs := range o.Sets {
		r.old = append(r.old, rs.DeepCopy())
	}
	r.newSet = findNew(r.d, r.old)
	r.old = slices.DeleteFunc(r.old, func(rs *appsv1.ReplicaSet) bool { return rs == r.newSet })
	if err := r.step(); err != nil {
		return Plan{}, err
	}
	r.collect(o)
	return r.plan, nil
}

func (r *rollout) step() error {
	if r.d.DeletionTimestamp != nil {
		r.status(r.calculate())
		return nil
	}
	r.markPaused()
	if r.d.Spec.Paused || r.scaled() {
		r.keepRevision()
		r.scale()
		if r.d.Spec.Paused {
			r.plan.Delete = superfluous(r.d, r.old)
		}
		r.status(r.calculate())
		return nil
	}
	if rolling(r.d) {
		return r.roll()
	}
	return r.recreate()
}

// collect turns what was changed into the plan.
func (r *rollout) collect(o Observed) {
	doomed := map[string]bool{}
	for _, rs := range r.plan.Delete {
		doomed[rs.Name] = true
	}
	changed := map[string]*appsv1.ReplicaSet{}
	for _, rs := range r.all() {
		changed[rs.Name] = rs
	}
	for _, before := range o.Sets {
		after := changed[before.Name]
		if !doomed[before.Name] && !equality.Semantic.DeepEqual(before, after) {
			r.plan.Update = append(r.plan.Update, after)
		}
	}
	if r.plan.Status != nil && equality.Semantic.DeepEqual(*r.plan.Status, o.Deployment.Status) {
		r.plan.Status = nil
	}
	if r.plan.Revision == o.Deployment.Annotations[revisionAnnotation] {
		r.plan.Revision = ""
	}
}

// all returns every set, the new one last.
func (r *rollout) all() []*appsv1.ReplicaSet {
	if r.newSet == nil {
		return r.old
	}
	return append(slices.Clone(r.old), r.newSet)
}

func (r *rollout) event(kind, reason, format string, args ...any) {
	r.plan.Events = append(r.plan.Events, Event{Type: kind, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// resize gives the set another size and says so.
func (r *rollout) resize(rs *appsv1.ReplicaSet, to int32) bool {
	from := size(rs)
	annotateScale(r.d, rs)
	if from == to {
		return false
	}
	rs.Spec.Replicas = &to
	direction := "up"
	if to < from {
		direction = "down"
	}
	r.event(corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled %s replica set %s from %d to %d", direction, rs.Name, from, to)
	return true
}

// keepRevision brings an existing new set's annotations up to date, and the
// deployment's revision with it.
func (r *rollout) keepRevision() {
	if r.newSet == nil {
		return
	}
	annotateNew(r.d, r.newSet, maxRevision(r.old)+1)
	r.newSet.Spec.MinReadySeconds = r.d.Spec.MinReadySeconds
	r.plan.Revision = r.newSet.Annotations[revisionAnnotation]
	if hasDeadline(r.d) && condition(r.d.Status, appsv1.DeploymentProgressing) == nil {
		setCondition(&r.d.Status, r.newCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue,
			reasonFound, fmt.Sprintf("Found new replica set %q", r.newSet.Name)))
	}
}

// ensureNew makes sure that the template has a ReplicaSet.
func (r *rollout) ensureNew() error {
	if r.newSet != nil {
		r.keepRevision()
		return nil
	}
	rs, err := newReplicaSet(r.d)
	if err != nil {
		return err
	}
	annotateNew(r.d, rs, maxRevision(r.old)+1)
	r.plan.Revision = strconv.FormatInt(maxRevision(r.old)+1, 10)
	r.resize(rs, newSize(r.d, append(slices.Clone(r.old), rs), rs))
	r.newSet, r.plan.Create = rs, rs
	if hasDeadline(r.d) {
		setCondition(&r.d.Status, r.newCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue,
			reasonCreated, fmt.Sprintf("Created new replica set %q", rs.Name)))
	}
	return nil
}

// finish ends a round of a rollout: clean up when it is complete, tell how it is.
func (r *rollout) finish() {
	if complete(r.d, &r.d.Status) {
		r.plan.Delete = superfluous(r.d, r.old)
	}
	r.rolloutStatus()
}

// Collides says whether an existing ReplicaSet of the name that the plan wanted
// to create is a stranger, so that another hash is needed. One of the
// deployment's own with the same template is only news the cache did not have.
func Collides(d *appsv1.Deployment, existing *appsv1.ReplicaSet) bool {
	for _, ref := range existing.OwnerReferences {
		if ref.Controller != nil && *ref.Controller && ref.UID == d.UID {
			return !SameTemplate(&existing.Spec.Template, &d.Spec.Template)
		}
	}
	return true
}
