package deployment

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
)

// scaled says whether the deployment was scaled since its sets were sized.
func (r *rollout) scaled() bool {
	for _, rs := range active(r.all()) {
		if n, ok := number(rs, desiredAnnotation); ok && int32(n) != desired(r.d) {
			return true
		}
	}
	return false
}

// scale gives the sets the deployment's size without moving the rollout.
func (r *rollout) scale() {
	if only := r.activeOrLatest(); only != nil {
		r.resize(only, desired(r.d))
		return
	}
	if r.saturated() {
		for _, rs := range active(r.old) {
			r.resize(rs, 0)
		}
		return
	}
	if rolling(r.d) {
		r.scaleProportionally()
		return
	}
	// Sets of two templates at once are for recreate to end; all there is to do
	// is to note the new size, or it would never be called.
	for _, rs := range active(r.all()) {
		annotateScale(r.d, rs)
	}
}

// activeOrLatest returns the only set with replicas or, where none has any, the
// new one or else the youngest. It returns nil when several have.
func (r *rollout) activeOrLatest() *appsv1.ReplicaSet {
	switch running := active(r.all()); len(running) {
	case 0:
		if r.newSet != nil || len(r.old) == 0 {
			return r.newSet
		}
		sorted := byAge(r.old)
		return sorted[len(sorted)-1]
	case 1:
		return running[0]
	}
	return nil
}

// saturated says whether the new set already holds all that is wanted.
func (r *rollout) saturated() bool {
	if r.newSet == nil {
		return false
	}
	n, ok := number(r.newSet, desiredAnnotation)
	return ok && int32(n) == desired(r.d) && size(r.newSet) == desired(r.d) &&
		r.newSet.Status.AvailableReplicas == desired(r.d)
}

// scaleProportionally spreads the change over the active sets by their sizes;
// what rounding leaves over goes to the biggest.
func (r *rollout) scaleProportionally() {
	sets := active(r.all())
	if len(sets) == 0 {
		return
	}
	var allowed int32
	if desired(r.d) > 0 {
		allowed = desired(r.d) + maxSurge(r.d)
	}
	change := allowed - total(sets, size)
	sortForScale(sets, change)
	var given int32
	sizes := make([]int32, len(sets))
	for i, rs := range sets {
		part := proportion(r.d, rs, change, given)
		sizes[i] = size(rs) + part
		given += part
	}
	sizes[0] = max(0, sizes[0]+change-given)
	for i, rs := range sets {
		r.resize(rs, sizes[i])
	}
}

// sortForScale puts the biggest first; among equals the newest when growing and
// the oldest when shrinking.
func sortForScale(sets []*appsv1.ReplicaSet, change int32) {
	slices.SortStableFunc(sets, func(a, b *appsv1.ReplicaSet) int {
		if c := cmp.Compare(size(b), size(a)); c != 0 {
			return c
		}
		if change > 0 {
			return compareAge(b, a)
		}
		return compareAge(a, b)
	})
}
