package roles

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func same[T any](a T) func(T) bool {
	return func(b T) bool { return equality.Semantic.DeepEqual(a, b) }
}

// Aggregate returns those of the roles whose rules are not what the roles that they are
// filled from have, with the rules that they should have. They are looked at in the order
// of their names: one that is filled from a later one may have to be looked at again.
func Aggregate(all []*rbacv1.ClusterRole) []*rbacv1.ClusterRole {
	all = slices.SortedFunc(slices.Values(all), func(a, b *rbacv1.ClusterRole) int { return strings.Compare(a.Name, b.Name) })
	var changed []*rbacv1.ClusterRole
	for i, role := range all {
		if role.AggregationRule == nil {
			continue
		}
		if rules := aggregated(role, all); !equality.Semantic.DeepEqual(rules, role.Rules) {
			all[i] = role.DeepCopy()
			all[i].Rules = rules
			changed = append(changed, all[i])
		}
	}
	return changed
}

// aggregated returns the rules of the roles that the role selects, each once.
func aggregated(role *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for i := range role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			continue // Validation lets none in.
		}
		for _, from := range all {
			if from.Name == role.Name || !selector.Matches(labels.Set(from.Labels)) {
				continue
			}
			for _, rule := range from.Rules {
				if !slices.ContainsFunc(rules, same(rule)) {
					rules = append(rules, rule)
				}
			}
		}
	}
	return rules
}
