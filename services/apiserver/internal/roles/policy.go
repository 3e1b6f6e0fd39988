// Package roles keeps the roles and bindings that every cluster has, and the rules of
// the roles that are filled from others.
package roles

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

//go:embed policy.txt
var policy string

// aggregateTo begins the labels of roles that others are filled from.
const aggregateTo = "rbac.authorization.k8s.io/aggregate-to-"

// verbs that have a common name in the policy.
var verbs = map[string][]string{
	"read":  {"get", "list", "watch"},
	"write": {"create", "delete", "deletecollection", "patch", "update"},
}

// Defaults returns the roles and bindings of the policy, in its order.
func Defaults() ([]registry.Object, error) {
	p := &parser{}
	for i, line := range strings.Split(policy, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := p.line(words, strings.HasPrefix(line, " ")); err != nil {
			return nil, fmt.Errorf("read default roles: line %d: %w", i+1, err)
		}
	}
	return p.objects, nil
}

type parser struct {
	objects []registry.Object
	rules   *[]rbacv1.PolicyRule // of the role that the next rules belong to
}

func (p *parser) line(words []string, indented bool) error {
	if indented {
		return p.rule(words)
	}
	args := words[1:]
	statement, ok := statements[words[0]]
	if !ok || len(args) < statement.least {
		return fmt.Errorf("not understood: %q", words)
	}
	return statement.read(p, args)
}

// statements are what a line may begin with, and how many words must follow.
var statements = map[string]struct {
	least int
	read  func(p *parser, args []string) error
}{
	"clusterrole": {1, func(p *parser, args []string) error { p.clusterRole(args[0], args[1:]); return nil }},
	"aggregate": {2, func(p *parser, args []string) error {
		role := p.clusterRole(args[0], args[2:])
		role.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
			{MatchLabels: map[string]string{aggregateTo + args[1]: "true"}},
		}}
		return nil
	}},
	"controller": {1, func(p *parser, args []string) error {
		name := "system:controller:" + args[0]
		if err := p.bindCluster(name, name, []string{"account:kube-system/" + args[0]}); err != nil {
			return err
		}
		p.clusterRole(name, nil)
		return nil
	}},
	"role": {2, func(p *parser, args []string) error {
		role := &rbacv1.Role{ObjectMeta: meta(args[0], args[1])}
		p.objects, p.rules = append(p.objects, role), &role.Rules
		return nil
	}},
	"bind":     {1, func(p *parser, args []string) error { return p.bindCluster(args[0], args[0], args[1:]) }},
	"bindings": {2, func(p *parser, args []string) error { return p.bindCluster(args[0], args[1], args[2:]) }},
	"bindin": {3, func(p *parser, args []string) error {
		subjects, err := subjectsOf(args[3:])
		p.objects = append(p.objects, &rbacv1.RoleBinding{
			ObjectMeta: meta(args[0], args[1]), Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: args[2]},
		})
		return err
	}},
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name,
		Labels:      map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"},
		Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"},
	}
}

func (p *parser) clusterRole(name string, labels []string) *rbacv1.ClusterRole {
	role := &rbacv1.ClusterRole{ObjectMeta: meta("", name)}
	for _, to := range labels {
		role.Labels[aggregateTo+to] = "true"
	}
	p.objects, p.rules = append(p.objects, role), &role.Rules
	return role
}

func (p *parser) bindCluster(name, role string, words []string) error {
	subjects, err := subjectsOf(words)
	p.objects = append(p.objects, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta("", name), Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	})
	return err
}

func subjectsOf(words []string) ([]rbacv1.Subject, error) {
	var out []rbacv1.Subject
	for _, word := range words {
		kind, name, _ := strings.Cut(word, ":")
		switch kind {
		case "user":
			out = append(out, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name})
		case "group":
			out = append(out, rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: name})
		case "account":
			namespace, account, _ := strings.Cut(name, "/")
			out = append(out, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account})
		default:
			return nil, fmt.Errorf("subject %q is no user, group or account", word)
		}
	}
	return out, nil
}

// rule reads one rule. Its parts are sorted, as Kubernetes' are.
func (p *parser) rule(words []string) error {
	if len(words) == 1 && words[0] == "events" {
		words = []string{"create,update,patch", "events@,events.k8s.io"}
	}
	if p.rules == nil || len(words) < 2 {
		return fmt.Errorf("no rule of a role: %q", words)
	}
	var rule rbacv1.PolicyRule
	for _, verb := range strings.Split(words[0], ",") {
		if more, ok := verbs[verb]; ok {
			rule.Verbs = append(rule.Verbs, more...)
		} else {
			rule.Verbs = append(rule.Verbs, verb)
		}
	}
	slices.Sort(rule.Verbs)
	if strings.HasPrefix(words[1], "/") {
		rule.NonResourceURLs = sorted(words[1])
		if words[1] == "/all" {
			rule.NonResourceURLs = []string{rbacv1.NonResourceAll}
		}
	} else {
		resources, groups, _ := strings.Cut(words[1], "@")
		rule.Resources, rule.APIGroups = sorted(resources), sorted(groups)
	}
	if len(words) == 3 {
		rule.ResourceNames = sorted(words[2])
	}
	*p.rules = append(*p.rules, rule)
	return nil
}

func sorted(list string) []string {
	out := strings.Split(list, ",")
	slices.Sort(out)
	return out
}
