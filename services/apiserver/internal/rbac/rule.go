// Package rbac decides by roles and bindings what a user may do, as Kubernetes'
// RBAC authorizer does.
package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Request is one thing that a user wants to do: a verb on a resource or, where Path
// is set, on a path that is none ("/metrics").
type Request struct {
	User   string
	Groups []string

	Verb        string
	Group       string // API group
	Resource    string
	Subresource string
	Namespace   string
	Name        string

	Path string
}

// Allows tells whether a rule by itself allows the request.
func Allows(rule *rbacv1.PolicyRule, r *Request) bool {
	if !has(rule.Verbs, r.Verb, rbacv1.VerbAll) {
		return false
	}
	if r.Path != "" {
		return slices.ContainsFunc(rule.NonResourceURLs, func(url string) bool { return coversPath(url, r.Path) })
	}
	return has(rule.APIGroups, r.Group, rbacv1.APIGroupAll) && allowsResource(rule, r) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, r.Name))
}

func allowsResource(rule *rbacv1.PolicyRule, r *Request) bool {
	for _, named := range rule.Resources {
		if named == rbacv1.ResourceAll {
			return true
		}
		resource, sub, _ := strings.Cut(named, "/")
		if sub == r.Subresource && (resource == r.Resource || resource == rbacv1.ResourceAll && sub != "") {
			return true
		}
	}
	return false
}

// has tells whether a list names the value or all of them.
func has(list []string, value, all string) bool {
	for _, v := range list {
		if v == value || v == all {
			return true
		}
	}
	return false
}

// coversPath tells whether a rule's URL is the path or a prefix of it: "/api/*".
func coversPath(url, path string) bool {
	return url == path || strings.HasSuffix(url, "*") && strings.HasPrefix(path, strings.TrimRight(url, "*"))
}
