package rbac_test

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/musterhq/muster/services/apiserver/internal/rbac"
)

// What rules allow, by Kubernetes' documentation of RBAC.
func TestAllows(t *testing.T) {
	rule := func(verbs, groups, resources []string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: verbs, APIGroups: groups, Resources: resources, ResourceNames: names}
	}
	list := func(s ...string) []string { return s }
	on := func(verb, group, resource, sub, name string) rbac.Request {
		return rbac.Request{Verb: verb, Group: group, Resource: resource, Subresource: sub, Name: name}
	}
	path := func(verb, url string) rbac.Request { return rbac.Request{Verb: verb, Path: url} }
	urls := func(s ...string) rbacv1.PolicyRule { return rbacv1.PolicyRule{Verbs: list("get"), NonResourceURLs: s} }
	for _, test := range []struct {
		name    string
		rule    rbacv1.PolicyRule
		request rbac.Request
		want    bool
	}{
		{"the verb", rule(list("get"), list(""), list("pods")), on("get", "", "pods", "", "x"), true},
		{"another verb", rule(list("get"), list(""), list("pods")), on("list", "", "pods", "", ""), false},
		{"all verbs", rule(list("*"), list(""), list("pods")), on("frobnicate", "", "pods", "", ""), true},
		{"another group", rule(list("get"), list(""), list("pods")), on("get", "apps", "pods", "", ""), false},
		{"all groups", rule(list("get"), list("*"), list("deployments")), on("get", "apps", "deployments", "", ""), true},
		{"a subresource is not its resource", rule(list("get"), list(""), list("pods")), on("get", "", "pods", "log", "x"), false},
		{"a resource is not its subresource", rule(list("get"), list(""), list("pods/log")), on("get", "", "pods", "", "x"), false},
		{"the subresource", rule(list("get"), list(""), list("pods/log")), on("get", "", "pods", "log", "x"), true},
		{"all resources have all subresources", rule(list("get"), list(""), list("*")), on("get", "", "pods", "log", "x"), true},
		{"a subresource of all", rule(list("update"), list("*"), list("*/scale")), on("update", "apps", "deployments", "scale", "x"), true},
		{"another subresource of all", rule(list("update"), list("*"), list("*/scale")), on("update", "apps", "deployments", "status", "x"), false},
		{"no wildcard within a resource", rule(list("get"), list(""), list("pods/*")), on("get", "", "pods", "log", "x"), false},
		{"a name", rule(list("get"), list(""), list("secrets"), "a"), on("get", "", "secrets", "", "a"), true},
		{"another name", rule(list("get"), list(""), list("secrets"), "a"), on("get", "", "secrets", "", "b"), false},
		{"no name where names are listed", rule(list("create"), list(""), list("secrets"), "a"), on("create", "", "secrets", "", ""), false},
		{"a path", urls("/healthz"), path("get", "/healthz"), true},
		{"a path below", urls("/healthz"), path("get", "/healthz/etcd"), false},
		{"a prefix", urls("/healthz/*"), path("get", "/healthz/etcd"), true},
		{"a prefix without its slash", urls("/healthz/*"), path("get", "/healthz"), false},
		{"all paths", urls("*"), path("get", "/metrics"), true},
		{"a path by another verb", urls("*"), path("post", "/metrics"), false},
		{"a path is no resource", urls("*"), on("get", "", "pods", "", "x"), false},
		{"a resource is no path", rule(list("*"), list("*"), list("*")), path("get", "/metrics"), false},
	} {
		if got := rbac.Allows(&test.rule, &test.request); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
