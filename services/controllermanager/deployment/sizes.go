package deployment

import (
	"math"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// desired is the number of replicas the deployment asks for.
func desired(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// size is the number of replicas the set asks for.
func size(rs *appsv1.ReplicaSet) int32 {
	if rs == nil || rs.Spec.Replicas == nil {
		return 0
	}
	return *rs.Spec.Replicas
}

// dependable is how many available pods of the set may be counted on: never more
// than it asks for, because a status that lags still counts pods about to go.
func dependable(rs *appsv1.ReplicaSet) int32 {
	return min(rs.Status.AvailableReplicas, size(rs))
}

func total(sets []*appsv1.ReplicaSet, of func(*appsv1.ReplicaSet) int32) int32 {
	var sum int32
	for _, rs := range sets {
		if rs != nil {
			sum += of(rs)
		}
	}
	return sum
}

func active(sets []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	var out []*appsv1.ReplicaSet
	for _, rs := range sets {
		if size(rs) > 0 {
			out = append(out, rs)
		}
	}
	return out
}

func rolling(d *appsv1.Deployment) bool {
	return d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType
}

// Fenceposts resolves maxSurge and maxUnavailable against the desired number.
// Surge rounds up, unavailable rounds down, and both may not be zero, or nothing
// could ever move.
func Fenceposts(surge, unavailable *intstr.IntOrString, desired int32) (int32, int32) {
	quarter := intstr.FromString("25%")
	if surge == nil {
		surge = &quarter
	}
	if unavailable == nil {
		unavailable = &quarter
	}
	up, err := intstr.GetScaledValueFromIntOrPercent(surge, int(desired), true)
	if err != nil {
		up = 0
	}
	down, err := intstr.GetScaledValueFromIntOrPercent(unavailable, int(desired), false)
	if err != nil {
		down = 0
	}
	if up == 0 && down == 0 {
		down = 1
	}
	return int32(up), int32(down)
}

func fenceposts(d *appsv1.Deployment) (int32, int32) {
	if ru := d.Spec.Strategy.RollingUpdate; ru != nil {
		return Fenceposts(ru.MaxSurge, ru.MaxUnavailable, desired(d))
	}
	return Fenceposts(nil, nil, desired(d))
}

func maxSurge(d *appsv1.Deployment) int32 {
	if !rolling(d) {
		return 0
	}
	up, _ := fenceposts(d)
	return up
}

// maxUnavailable is never more than the deployment has.
func maxUnavailable(d *appsv1.Deployment) int32 {
	if !rolling(d) || desired(d) == 0 {
		return 0
	}
	_, down := fenceposts(d)
	return min(down, desired(d))
}

// newSize is what the new set may grow to while all sets together stay below
// the surge. It never shrinks it.
func newSize(d *appsv1.Deployment, all []*appsv1.ReplicaSet, rs *appsv1.ReplicaSet) int32 {
	if !rolling(d) {
		return desired(d)
	}
	room := desired(d) + maxSurge(d) - total(all, size)
	if room <= 0 {
		return size(rs)
	}
	return size(rs) + min(room, desired(d)-size(rs))
}

// proportion is the part of a change in size that falls to one set, so that a
// deployment scaled amid a rollout keeps the ratio between old and new.
func proportion(d *appsv1.Deployment, rs *appsv1.ReplicaSet, change, given int32) int32 {
	if size(rs) == 0 || change == 0 || change == given {
		return 0
	}
	part, left := fraction(d, rs), change-given
	if change > 0 {
		return min(part, left)
	}
	return max(part, left)
}

func fraction(d *appsv1.Deployment, rs *appsv1.ReplicaSet) int32 {
	if desired(d) == 0 {
		return -size(rs)
	}
	before, ok := number(rs, maxAnnotation)
	if !ok || before <= 0 {
		before = int64(d.Status.Replicas)
	}
	if before <= 0 {
		return 0
	}
	scaled := float64(size(rs)) * float64(desired(d)+maxSurge(d)) / float64(before)
	return int32(math.Round(scaled)) - size(rs)
}
