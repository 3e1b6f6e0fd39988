package deployment

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The annotations by which kubectl and the controller understand each other.
const (
	revisionAnnotation        = "deployment.kubernetes.io/revision"
	revisionHistoryAnnotation = "deployment.kubernetes.io/revision-history"
	desiredAnnotation         = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation             = "deployment.kubernetes.io/max-replicas"
	rollbackAnnotation        = "deprecated.deployment.rollback.to"
)

// maxHistoryLength bounds the revision-history annotation, in characters.
const maxHistoryLength = 2000

// notCopied says which annotations of a deployment are not a ReplicaSet's business.
func notCopied(key string) bool {
	switch key {
	case corev1.LastAppliedConfigAnnotation, revisionAnnotation, revisionHistoryAnnotation,
		desiredAnnotation, maxAnnotation, rollbackAnnotation:
		return true
	}
	return false
}

// number reads an integer annotation; ok is false when there is none.
func number(obj metav1.Object, key string) (n int64, ok bool) {
	n, err := strconv.ParseInt(obj.GetAnnotations()[key], 10, 64)
	return n, err == nil
}

// maxRevision is the highest revision any of the sets carries.
func maxRevision(sets []*appsv1.ReplicaSet) int64 {
	var highest int64
	for _, rs := range sets {
		n, _ := number(rs, revisionAnnotation)
		highest = max(highest, n)
	}
	return highest
}

// annotateNew brings the new ReplicaSet's annotations up to date: those of the
// deployment (change-cause above all) and the revision, which rises when an old
// template came back into use.
func annotateNew(d *appsv1.Deployment, rs *appsv1.ReplicaSet, revision int64) {
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	for k, v := range d.Annotations {
		if !notCopied(k) {
			rs.Annotations[k] = v
		}
	}
	old, had := number(rs, revisionAnnotation)
	if old >= revision {
		return
	}
	rs.Annotations[revisionAnnotation] = strconv.FormatInt(revision, 10)
	if had {
		rs.Annotations[revisionHistoryAnnotation] = appendHistory(rs.Annotations[revisionHistoryAnnotation], strconv.FormatInt(old, 10))
	}
}

// appendHistory adds a revision to a comma separated list, dropping the oldest
// entries that no longer fit.
func appendHistory(history, revision string) string {
	if history == "" {
		return revision
	}
	entries := strings.Split(history, ",")
	length := len(history) + 1 + len(revision)
	for len(entries) > 0 && length > maxHistoryLength {
		length -= len(entries[0]) + 1
		entries = entries[1:]
	}
	return strings.Join(append(entries, revision), ",")
}

// annotateScale records what the deployment wanted when the set was sized; a
// later difference is how a scaling is told from a rollout.
func annotateScale(d *appsv1.Deployment, rs *appsv1.ReplicaSet) {
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	rs.Annotations[desiredAnnotation] = strconv.Itoa(int(desired(d)))
	rs.Annotations[maxAnnotation] = strconv.Itoa(int(desired(d) + maxSurge(d)))
}

// superfluous lists the old sets that the history limit leaves no room for, the
// lowest revision first. One that still has pods, or whose controller has not
// caught up, stays.
func superfluous(d *appsv1.Deployment, old []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	limit := d.Spec.RevisionHistoryLimit
	if limit == nil || *limit == math.MaxInt32 {
		return nil
	}
	var alive []*appsv1.ReplicaSet
	for _, rs := range old {
		if rs.DeletionTimestamp == nil {
			alive = append(alive, rs)
		}
	}
	excess := len(alive) - int(*limit)
	if excess <= 0 {
		return nil
	}
	slices.SortStableFunc(alive, func(a, b *appsv1.ReplicaSet) int {
		x, _ := number(a, revisionAnnotation)
		y, _ := number(b, revisionAnnotation)
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
		return compareAge(a, b)
	})
	var gone []*appsv1.ReplicaSet
	for _, rs := range alive[:excess] {
		if rs.Status.Replicas == 0 && size(rs) == 0 && rs.Generation <= rs.Status.ObservedGeneration {
			gone = append(gone, rs)
		}
	}
	return gone
}
