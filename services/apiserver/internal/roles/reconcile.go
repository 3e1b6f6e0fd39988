package roles

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Reconcile returns what is to be stored so that a role or binding that is there has at
// least what it has by default, or nil where it has or does not want to: an annotation
// says so. What was added to it stays.
func Reconcile(found, wanted registry.Object) registry.Object {
	if found.GetAnnotations()[rbacv1.AutoUpdateAnnotationKey] == "false" {
		return nil
	}
	out := found.DeepCopyObject().(registry.Object)
	changed := addMissing(out, wanted)
	switch o := out.(type) {
	case *rbacv1.ClusterRole:
		w := wanted.(*rbacv1.ClusterRole)
		changed = addRules(&o.Rules, w.Rules) || changed
		changed = addSelectors(o, w) || changed
	case *rbacv1.Role:
		changed = addRules(&o.Rules, wanted.(*rbacv1.Role).Rules) || changed
	case *rbacv1.ClusterRoleBinding:
		w := wanted.(*rbacv1.ClusterRoleBinding)
		if o.RoleRef != w.RoleRef {
			return nil // Nobody may change it: it is another binding by the same name.
		}
		changed = addSubjects(&o.Subjects, w.Subjects) || changed
	case *rbacv1.RoleBinding:
		w := wanted.(*rbacv1.RoleBinding)
		if o.RoleRef != w.RoleRef {
			return nil
		}
		changed = addSubjects(&o.Subjects, w.Subjects) || changed
	}
	if !changed {
		return nil
	}
	return out
}

// addMissing adds labels and annotations. Those that are there stay what they are.
func addMissing(obj, wanted registry.Object) bool {
	labels, annotations := maps.Clone(wanted.GetLabels()), maps.Clone(wanted.GetAnnotations())
	maps.Copy(labels, obj.GetLabels())
	maps.Copy(annotations, obj.GetAnnotations())
	changed := !maps.Equal(labels, obj.GetLabels()) || !maps.Equal(annotations, obj.GetAnnotations())
	obj.SetLabels(labels)
	obj.SetAnnotations(annotations)
	return changed
}

func addRules(rules *[]rbacv1.PolicyRule, wanted []rbacv1.PolicyRule) bool {
	_, missing := validation.Covers(*rules, wanted)
	*rules = append(*rules, missing...)
	return len(missing) > 0
}

func addSubjects(subjects *[]rbacv1.Subject, wanted []rbacv1.Subject) bool {
	changed := false
	for _, s := range wanted {
		if !slices.Contains(*subjects, s) {
			*subjects, changed = append(*subjects, s), true
		}
	}
	return changed
}

// addSelectors makes a role one that is filled from others where it is by default, and
// one that is not where it is not.
func addSelectors(role, wanted *rbacv1.ClusterRole) bool {
	if wanted.AggregationRule == nil {
		changed := role.AggregationRule != nil
		role.AggregationRule = nil
		return changed
	}
	if role.AggregationRule == nil {
		role.AggregationRule = wanted.AggregationRule.DeepCopy()
		return true
	}
	changed := false
	for _, selector := range wanted.AggregationRule.ClusterRoleSelectors {
		if !slices.ContainsFunc(role.AggregationRule.ClusterRoleSelectors, same(selector)) {
			role.AggregationRule.ClusterRoleSelectors = append(role.AggregationRule.ClusterRoleSelectors, selector)
			changed = true
		}
	}
	return changed
}
