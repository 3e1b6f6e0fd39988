package auth

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
)

// rule allows verbs on resources ("pods", "pods/status", "deployments.apps";
// "*" is all), where scope, if there is one, holds as well.
type rule struct {
	verbs     []string
	resources []string
	except    []string
	scope     func(Request, Graph) bool
}

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"create", "update", "patch", "delete", "deletecollection"}
	every = []string{"*"}
)

// ownByName are the resources of which a node has one of its own name.
var ownByName = []schema.GroupResource{{Resource: "nodes"}, {Group: "coordination.k8s.io", Resource: "leases"}}

// rules is what each role may do. A role that is not here may do nothing.
var rules = map[accessv1.Role][]rule{
	accessv1.Role_ROLE_ADMIN:  {{verbs: every, resources: every}},
	accessv1.Role_ROLE_SERVER: {{verbs: every, resources: every}},
	accessv1.Role_ROLE_SCHEDULER: {
		{verbs: read, resources: every, except: []string{"secrets"}},
		{verbs: []string{"create"}, resources: []string{"pods/binding"}},
		{verbs: []string{"update", "patch"}, resources: []string{"pods/status"}},
		{verbs: []string{"create", "update", "patch"}, resources: []string{"events"}},
		{verbs: []string{"create", "update", "patch"}, resources: []string{"leases.coordination.k8s.io"}, scope: inNamespace("kube-system")},
	},
	accessv1.Role_ROLE_CONTROLLER_MANAGER: {
		{verbs: read, resources: every},
		// The garbage collector and the namespace controller delete anything.
		{verbs: []string{"delete", "deletecollection"}, resources: every},
		{verbs: write, resources: every, except: []string{"secrets", "pods/binding"}},
		// Finalizers and owner references of secrets are metadata.
		{verbs: []string{"patch"}, resources: []string{"secrets"}},
	},
	accessv1.Role_ROLE_NODE: {
		{verbs: read, resources: []string{"services", "endpoints", "endpointslices.discovery.k8s.io", "nodes", "namespaces"}},
		{verbs: []string{"get"}, resources: []string{"pods", "pods/status"}},
		{verbs: []string{"list", "watch"}, resources: []string{"pods"}, scope: selectsOwnPods},
		{verbs: read, resources: []string{"configmaps", "secrets"}, scope: referredTo},
		{verbs: []string{"create"}, resources: []string{"nodes"}},
		{verbs: []string{"update", "patch", "delete"}, resources: []string{"nodes", "nodes/status"}, scope: ownName},
		{verbs: []string{"update", "patch"}, resources: []string{"pods/status"}},
		{verbs: []string{"delete"}, resources: []string{"pods"}},
		// Its own ones only: AuthorizeChange sees to it.
		{verbs: []string{"get", "create", "update", "patch"}, resources: []string{"events"}},
		{verbs: []string{"create"}, resources: []string{"leases.coordination.k8s.io"}, scope: inNamespace("kube-node-lease")},
		{verbs: []string{"get", "update", "patch", "delete"}, resources: []string{"leases.coordination.k8s.io"}, scope: ownLease},
	},
}

func (r rule) covers(q Request) bool {
	name := q.Resource.String()
	if q.Subresource != "" {
		name = q.Resource.Resource + "/" + q.Subresource
		if q.Resource.Group != "" {
			name = q.Resource.Resource + "." + q.Resource.Group + "/" + q.Subresource
		}
	}
	return matches(r.verbs, q.Verb) && matches(r.resources, name) && !slices.Contains(r.except, name)
}

func matches(allowed []string, value string) bool {
	return slices.Contains(allowed, value) || (len(allowed) == 1 && allowed[0] == "*")
}

func inNamespace(name string) func(Request, Graph) bool {
	return func(q Request, _ Graph) bool { return q.Namespace == name }
}

func ownName(q Request, _ Graph) bool { return q.Name == q.User.NodeName() }

func ownLease(q Request, _ Graph) bool {
	return q.Namespace == "kube-node-lease" && q.Name == q.User.NodeName()
}

// selectsOwnPods holds for a list of the pods that are bound to the node.
func selectsOwnPods(q Request, _ Graph) bool {
	if q.Fields == nil {
		return false
	}
	node, ok := q.Fields.RequiresExactMatch("spec.nodeName")
	return ok && node == q.User.NodeName()
}

// referredTo holds for one config map or secret that a pod on the node needs.
func referredTo(q Request, graph Graph) bool {
	return q.Name != "" && graph.NodeReads(q.User.NodeName(), q.Resource.Resource, q.Namespace, q.Name)
}
