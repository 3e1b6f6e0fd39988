package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
)

// roll does one step of a rolling update: the new set grows first, and only a
// round in which it did not shrinks the old ones.
func (r *rollout) roll() error {
	if err := r.ensureNew(); err != nil {
		return err
	}
	switch {
	case r.plan.Create != nil:
	case r.grow():
	case r.shrinkOld():
	default:
		r.finish()
		return nil
	}
	r.rolloutStatus()
	return nil
}

func (r *rollout) grow() bool {
	want := desired(r.d)
	if size(r.newSet) < want {
		want = newSize(r.d, r.all(), r.newSet)
	}
	if size(r.newSet) == want {
		annotateScale(r.d, r.newSet)
		return false
	}
	return r.resize(r.newSet, want)
}

// shrinkOld takes pods from the old sets as far as enough stay available: first
// those that do not work anyway, then working ones. It waits for every set's
// controller to have seen its size: until then the counts are of another size,
// and pods that are about to go would be relied on.
func (r *rollout) shrinkOld() bool {
	old := active(r.old)
	if len(old) == 0 {
		return false
	}
	for _, rs := range r.all() {
		if rs.Status.ObservedGeneration < rs.Generation {
			return false
		}
	}
	minAvailable := desired(r.d) - maxUnavailable(r.d)
	unavailableNew := size(r.newSet) - dependable(r.newSet)
	room := total(r.all(), size) - minAvailable - unavailableNew
	if room <= 0 {
		return false
	}
	removed := r.removeUnhealthy(byAge(old), room)
	removed += r.removeHealthy(byAge(old), minAvailable)
	return removed > 0
}

func (r *rollout) removeUnhealthy(old []*appsv1.ReplicaSet, room int32) int32 {
	var removed int32
	for _, rs := range old {
		if n := min(room-removed, size(rs)-dependable(rs)); n > 0 {
			r.resize(rs, size(rs)-n)
			removed += n
		}
	}
	return removed
}

func (r *rollout) removeHealthy(old []*appsv1.ReplicaSet, minAvailable int32) int32 {
	spare := total(r.all(), dependable) - minAvailable
	var removed int32
	for _, rs := range old {
		if n := min(spare-removed, size(rs)); n > 0 {
			r.resize(rs, size(rs)-n)
			removed += n
		}
	}
	return removed
}
