// Package quota counts what objects use of a namespace's ResourceQuotas. It is pure:
// the apiserver charges each change with it in the change's own transaction, and the
// resourcequota controller counts again with it.
package quota

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
)

// Resource is that of the quotas themselves.
const Resource = "resourcequotas"

// Current tells whether the status is about what the spec asks for and counts all of
// it. If it is not, all is to be counted anew: changes cannot be added to it.
func Current(q *corev1.ResourceQuota) bool {
	if !equality.Semantic.DeepEqual(q.Spec.Hard, q.Status.Hard) {
		return false
	}
	for name := range q.Spec.Hard {
		if _, ok := q.Status.Used[name]; !ok {
			return false
		}
	}
	return true
}

// Change is one object before and after; either may be nil.
type Change struct {
	// Resource as the store calls it: "pods", "deployments.apps".
	Resource string
	Old, New runtime.Object
	// Enforced says that the change is refused where it asks for too much, and not
	// only counted.
	Enforced bool
}

// Countable tells whether an update of a resource's object may change what it uses.
// Of most resources only the number counts.
func Countable(resource string) bool { return evaluators[resource] != nil }

// MayChange tells whether an update through a subresource, which makes the object what
// it is, may change what it uses. What nodes report of pods mostly does not. old is the
// object before, nil where nobody has decoded it.
func MayChange(resource, subresource string, old, obj runtime.Object) bool {
	pod, ok := obj.(*corev1.Pod)
	if !ok || subresource != "status" {
		return Countable(resource)
	}
	before, ok := old.(*corev1.Pod)
	return !ok || ended(pod) || resizing(before) || resizing(pod)
}

// Charge returns what is used of the quota, whose status is current, after the change.
// The same list is returned where nothing changes. An error says why the change is
// refused, in Kubernetes' words.
func Charge(q *corev1.ResourceQuota, c Change) (corev1.ResourceList, error) {
	if c.Enforced && c.New != nil {
		if err := constraints(q, c); err != nil {
			return nil, fmt.Errorf("failed quota: %s: %w", q.Name, err)
		}
	}
	delta := subtract(usage(q, c.Resource, c.New), usage(q, c.Resource, c.Old))
	if len(delta) == 0 {
		return q.Status.Used, nil
	}
	used := maps.Clone(q.Status.Used)
	var exceeded []corev1.ResourceName
	for name, by := range delta {
		now := used[name].DeepCopy()
		now.Add(by)
		if hard := q.Status.Hard[name]; c.Enforced && by.Sign() > 0 && now.Cmp(hard) > 0 {
			exceeded = append(exceeded, name)
		}
		if now.Sign() < 0 {
			now.Sub(now)
		}
		used[name] = now
	}
	if len(exceeded) > 0 {
		slices.Sort(exceeded)
		return nil, fmt.Errorf("exceeded quota: %s, requested: %s, used: %s, limited: %s", q.Name,
			list(exceeded, delta), list(exceeded, q.Status.Used), list(exceeded, q.Status.Hard))
	}
	return used, nil
}

// usage returns what the object uses of the quota, which may be nothing at all.
func usage(q *corev1.ResourceQuota, resource string, obj runtime.Object) corev1.ResourceList {
	if obj == nil || !inScope(q, obj) {
		return nil
	}
	of := Usage(resource, obj)
	maps.DeleteFunc(of, func(name corev1.ResourceName, _ resourceQuantity) bool {
		_, limited := q.Spec.Hard[name]
		return !limited
	})
	return of
}

// subtract returns what is not the same in both.
func subtract(a, b corev1.ResourceList) corev1.ResourceList {
	delta := corev1.ResourceList{}
	for name, value := range a {
		delta[name] = value.DeepCopy()
	}
	for name, value := range b {
		left := delta[name]
		left.Sub(value)
		delta[name] = left
	}
	maps.DeleteFunc(delta, func(_ corev1.ResourceName, left resourceQuantity) bool { return left.IsZero() })
	return delta
}

// list writes some values of a list: "cpu=1,pods=2".
func list(names []corev1.ResourceName, values corev1.ResourceList) string {
	parts := make([]string, len(names))
	for i, name := range names {
		value := values[name]
		parts[i] = string(name) + "=" + value.String()
	}
	return strings.Join(parts, ",")
}

// Objects are those of a namespace.
type Objects interface {
	// Count returns how many a resource has.
	Count(resource string) (int64, error)
	// Each calls each with all of a resource.
	Each(resource string, each func(runtime.Object)) error
}

// Measure counts all that is used of the quota.
func Measure(q *corev1.ResourceQuota, in Objects) (corev1.ResourceList, error) {
	used := corev1.ResourceList{}
	for name := range q.Spec.Hard {
		used[name] = resourceQuantity{Format: "DecimalSI"}
	}
	add := func(more corev1.ResourceList) {
		for name, value := range more {
			sum := used[name]
			sum.Add(value)
			used[name] = sum
		}
	}
	for _, resource := range counted(q.Spec.Hard) {
		if Countable(resource) {
			if err := in.Each(resource, func(obj runtime.Object) { add(usage(q, resource, obj)) }); err != nil {
				return nil, fmt.Errorf("count %s for quota %s/%s: %w", resource, q.Namespace, q.Name, err)
			}
			continue
		}
		if scoped(q) {
			continue // Objects that have no scope are in none.
		}
		n, err := in.Count(resource)
		if err != nil {
			return nil, fmt.Errorf("count %s for quota %s/%s: %w", resource, q.Namespace, q.Name, err)
		}
		for name, value := range numbers(resource, n) {
			if _, limited := q.Spec.Hard[name]; limited {
				used[name] = value
			}
		}
	}
	return used, nil
}
