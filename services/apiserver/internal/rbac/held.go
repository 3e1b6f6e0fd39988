package rbac

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Holds returns an error that names those of the rules that the user, in the
// namespace, does not have: who could grant them would have them all.
func (a *Authorizer) Holds(user string, groups []string, namespace string, rules []rbacv1.PolicyRule) error {
	own, unresolved := a.RulesFor(user, groups, namespace)
	covered, missing := validation.Covers(own, rules)
	if covered {
		return nil
	}
	described := map[string]bool{}
	for _, rule := range merged(missing) {
		described[describeRule(rule)] = true
	}
	text := fmt.Sprintf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s",
		user, groups, strings.Join(slices.Sorted(maps.Keys(described)), "\n"))
	if unresolved != nil {
		text += fmt.Sprintf("; resolution errors: %v", []error{unresolved})
	}
	return errors.New(text)
}

// merged puts together the rules that differ by their verb alone.
func merged(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	type resource struct{ group, resource string }
	at := map[resource]int{}
	var out []rbacv1.PolicyRule
	for _, rule := range rules {
		if len(rule.APIGroups) != 1 || len(rule.Resources) != 1 || len(rule.ResourceNames) > 0 || len(rule.NonResourceURLs) > 0 {
			out = append(out, rule)
			continue
		}
		of := resource{rule.APIGroups[0], rule.Resources[0]}
		if i, ok := at[of]; ok {
			out[i].Verbs = append(slices.Clip(out[i].Verbs), rule.Verbs...)
			continue
		}
		at[of] = len(out)
		out = append(out, rule)
	}
	return out
}

func describeRule(rule rbacv1.PolicyRule) string {
	var parts []string
	for _, part := range []struct {
		name   string
		values []string
	}{
		{"APIGroups", rule.APIGroups}, {"Resources", rule.Resources}, {"NonResourceURLs", rule.NonResourceURLs},
		{"ResourceNames", rule.ResourceNames}, {"Verbs", rule.Verbs},
	} {
		if len(part.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s:%q", part.name, part.values))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
