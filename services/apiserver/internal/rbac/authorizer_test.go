package rbac_test

import (
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/rbac"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// cluster is a state that roles and bindings are put into.
type cluster struct {
	testing.TB
	store *state.Store
	index uint64
}

func newCluster(t testing.TB) *cluster { return &cluster{TB: t, store: state.New()} }

type object interface {
	metav1.Object
	Marshal() ([]byte, error)
}

func (c *cluster) put(resource string, obj object) {
	c.Helper()
	value, err := obj.Marshal()
	if err != nil {
		c.Fatal(err)
	}
	c.apply(&storev1.Operation{
		Key:    &storev1.Key{Resource: resource + ".rbac.authorization.k8s.io", Namespace: obj.GetNamespace(), Name: obj.GetName()},
		Action: storev1.Action_ACTION_PUT, Value: value,
	})
}

func (c *cluster) delete(resource, namespace, name string) {
	c.apply(&storev1.Operation{
		Key:    &storev1.Key{Resource: resource + ".rbac.authorization.k8s.io", Namespace: namespace, Name: name},
		Action: storev1.Action_ACTION_DELETE,
	})
}

func (c *cluster) apply(op *storev1.Operation) {
	c.index++
	c.store.Apply(c.index, &storev1.Command{Transactions: []*storev1.Transaction{{Operations: []*storev1.Operation{op}}}})
}

func (c *cluster) clusterRole(name string, rules ...rbacv1.PolicyRule) {
	c.put("clusterroles", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
}

func (c *cluster) role(namespace, name string, rules ...rbacv1.PolicyRule) {
	c.put("roles", &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules})
}

func (c *cluster) bindCluster(name, role string, subjects ...rbacv1.Subject) {
	c.put("clusterrolebindings", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}})
}

func (c *cluster) bind(namespace, name, kind, role string, subjects ...rbacv1.Subject) {
	c.put("rolebindings", &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}})
}

func user(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName, Name: name}
}

func group(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: "Group", APIGroup: rbacv1.GroupName, Name: name}
}

func account(namespace, name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: "ServiceAccount", Namespace: namespace, Name: name}
}

func rule(verb, resource string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{resource}}
}

func TestAuthorize(t *testing.T) {
	c := newCluster(t)
	c.clusterRole("reader", rule("get", "pods"))
	c.clusterRole("lister", rule("list", "pods"))
	c.role("blue", "writer", rule("create", "pods"))
	c.bindCluster("all-read", "reader", user("ann"), group("readers"), account("blue", "robot"))
	c.bindCluster("gone", "nothing", user("bob"))
	c.bind("blue", "writers", "Role", "writer", user("ann"), account("", "robot"), account("red", "robot"))
	c.bind("blue", "listers", "ClusterRole", "lister", group("readers"), group("system:serviceaccounts"))
	c.bind("red", "writers", "Role", "writer", user("ann"))
	roles := rbac.New(c.store)
	for _, test := range []struct {
		user, groups, verb, namespace string
		want                          bool
		reason                        string
	}{
		{"ann", "", "get", "", true, `RBAC: allowed by ClusterRoleBinding "all-read" of ClusterRole "reader" to User "ann"`},
		{"ann", "", "get", "red", true, `RBAC: allowed by ClusterRoleBinding "all-read" of ClusterRole "reader" to User "ann"`},
		{"ann", "", "create", "blue", true, `RBAC: allowed by RoleBinding "writers/blue" of Role "writer" to User "ann"`},
		{"ann", "", "create", "", false, ""},
		{"ann", "", "create", "red", false, `RBAC: role.rbac.authorization.k8s.io "writer" not found`},
		{"bob", "", "get", "", false, `RBAC: clusterrole.rbac.authorization.k8s.io "nothing" not found`},
		{"bob", "readers", "get", "", true, `RBAC: allowed by ClusterRoleBinding "all-read" of ClusterRole "reader" to Group "readers"`},
		{"bob", "others readers", "list", "blue", true, `RBAC: allowed by RoleBinding "listers/blue" of ClusterRole "lister" to Group "readers"`},
		{"bob", "readers", "list", "red", false, `RBAC: clusterrole.rbac.authorization.k8s.io "nothing" not found`},
		{"eve", "", "get", "blue", false, ""},
		{"system:serviceaccount:blue:robot", "system:serviceaccounts", "get", "", true, `RBAC: allowed by ClusterRoleBinding "all-read" of ClusterRole "reader" to ServiceAccount "robot/blue"`},
		{"system:serviceaccount:blue:robot", "", "create", "blue", true, `RBAC: allowed by RoleBinding "writers/blue" of Role "writer" to ServiceAccount "robot/blue"`},
		{"system:serviceaccount:red:robot", "", "create", "blue", true, `RBAC: allowed by RoleBinding "writers/blue" of Role "writer" to ServiceAccount "robot/red"`},
		{"system:serviceaccount:red:robot", "", "get", "", false, ""},
	} {
		allowed, reason := roles.Authorize(&rbac.Request{User: test.user, Groups: strings.Fields(test.groups),
			Verb: test.verb, Resource: "pods", Namespace: test.namespace})
		if allowed != test.want || reason != test.reason {
			t.Errorf("%s (%s) %s in %q: %v, %s", test.user, test.groups, test.verb, test.namespace, allowed, reason)
		}
	}
}

// A decision holds every write that came before it.
func TestFollowsTheState(t *testing.T) {
	c := newCluster(t)
	roles := rbac.New(c.store)
	can := func() bool {
		allowed, _ := roles.Authorize(&rbac.Request{User: "ann", Verb: "get", Resource: "pods", Namespace: "blue"})
		return allowed
	}
	step := func(what string, want bool) {
		t.Helper()
		if got := can(); got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	step("nothing", false)
	c.bind("blue", "b", "Role", "r", user("ann"))
	step("a binding to no role", false)
	c.role("blue", "r", rule("get", "pods"))
	step("the role", true)
	c.role("blue", "r", rule("list", "pods"))
	step("a changed role", false)
	c.bind("blue", "b", "ClusterRole", "r", user("ann"))
	c.clusterRole("r", rule("get", "pods"))
	step("a cluster's role", true)
	c.bind("blue", "b", "ClusterRole", "r", user("bob"))
	step("another subject", false)
	c.bindCluster("b", "r", user("ann"))
	step("a cluster's binding", true)
	c.delete("clusterrolebindings", "", "b")
	c.delete("rolebindings", "blue", "b")
	c.delete("roles", "blue", "r")
	step("nothing again", false)
}

func TestHolds(t *testing.T) {
	c := newCluster(t)
	c.clusterRole("reader", rbacv1.PolicyRule{Verbs: []string{"get", "list"}, APIGroups: []string{""}, Resources: []string{"pods"}})
	c.bind("blue", "b", "ClusterRole", "reader", user("ann"))
	roles := rbac.New(c.store)
	if err := roles.Holds("ann", nil, "blue", []rbacv1.PolicyRule{rule("get", "pods")}); err != nil {
		t.Error(err)
	}
	wanted := []rbacv1.PolicyRule{
		{Verbs: []string{"get", "update", "delete"}, APIGroups: []string{""}, Resources: []string{"pods", "pods/log"}},
		{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"a"}},
	}
	const want = `user "ann" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["pods"], Verbs:["update" "delete"]}
{APIGroups:[""], Resources:["pods/log"], Verbs:["get" "update" "delete"]}
{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}`
	if err := roles.Holds("ann", []string{"dev", "system:authenticated"}, "blue", wanted); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// BenchmarkAuthorize is a decision among as many roles and bindings as a busy cluster
// has, for a user whom some of them name.
func BenchmarkAuthorize(b *testing.B) {
	c := newCluster(b)
	for i := range 1000 {
		name := fmt.Sprintf("role-%d", i)
		c.clusterRole(name, rule("get", fmt.Sprintf("things-%d", i)), rule("list", "pods"))
		c.bindCluster(name, name, user(fmt.Sprintf("user-%d", i)))
		c.bind("blue", name, "ClusterRole", name, user(fmt.Sprintf("user-%d", i)))
	}
	c.clusterRole("basic", rule("create", "selfsubjectaccessreviews"))
	c.bindCluster("basic", "basic", group("system:authenticated"))
	roles := rbac.New(c.store)
	for name, verb := range map[string]string{"allowed": "list", "denied": "delete"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := &rbac.Request{User: "user-7", Groups: []string{"dev", "system:authenticated"}, Verb: verb, Resource: "pods", Namespace: "blue"}
			for b.Loop() {
				if allowed, _ := roles.Authorize(r); allowed != (verb == "list") {
					b.Fatal(allowed)
				}
			}
		})
	}
}
