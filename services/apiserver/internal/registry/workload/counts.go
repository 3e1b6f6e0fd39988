package workload

import (
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// ValidateReplicaCounts checks the status that replica sets and replication
// controllers have.
func ValidateReplicaCounts(replicas, labelled, ready, available int32, generation int64) field.ErrorList {
	path := field.NewPath("status")
	parts := []Count{CountOf("fullyLabeledReplicas", labelled), CountOf("readyReplicas", ready), CountOf("availableReplicas", available)}
	errs := append(NotNegative(path, CountOf("replicas", replicas)), NotNegative(path, parts...)...)
	errs = append(errs, check.NonNegative(path.Child("observedGeneration"), &generation)...)
	errs = append(errs, NoneAbove(replicas, GreaterThanReplicas, path, parts...)...)
	return append(errs, NoneAbove(ready, GreaterThanReady, path, parts[2])...)
}

const (
	GreaterThanReplicas = "cannot be greater than status.replicas"
	GreaterThanReady    = "cannot be greater than readyReplicas"
)

// Count is a number of pods, and the field of the status that holds it.
type Count struct {
	field string
	n     int32
}

// CountOf makes a Count of n pods.
func CountOf(field string, n int32) Count { return Count{field, n} }

// NotNegative refuses counts of less than nothing.
func NotNegative(path *field.Path, counts ...Count) field.ErrorList {
	var errs field.ErrorList
	for _, c := range counts {
		errs = append(errs, apivalidation.ValidateNonnegativeField(int64(c.n), path.Child(c.field))...)
	}
	return errs
}

// NoneAbove words what is more than all that there are.
func NoneAbove(bound int32, msg string, path *field.Path, counts ...Count) field.ErrorList {
	var errs field.ErrorList
	for _, c := range counts {
		if c.n > bound {
			errs = append(errs, field.Invalid(path.Child(c.field), c.n, msg))
		}
	}
	return errs
}
