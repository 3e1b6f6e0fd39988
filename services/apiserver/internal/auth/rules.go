package auth

import (
	"slices"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
)

// rule allows verbs on resources ("pods", "pods/status", "deployments.apps";
// "*" is all), where scope, if there is one, holds as well.
type rule struct {
	verbs     []string
	resources []string
	except    []string
	scope     func(Request) bool
}

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"create", "update", "patch", "delete", "deletecollection"}
	every = []string{"*"}

	// nodeOwned is what a node does to what it has one of: its Lease, its CSINode.
	nodeOwned = []string{"get", "create", "update", "patch", "delete"}
)

// rules is what each role may do. Administrators and servers, which are not here, may
// do everything, and users what roles and bindings say. nodeRules adds to those of nodes.
var rules = map[accessv1.Role][]rule{
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
		// Kubernetes shows a node its own Node alone, and its proxy the rest.
		{verbs: read, resources: []string{"services", "endpoints", "endpointslices.discovery.k8s.io", "nodes", "namespaces"}},
		{verbs: []string{"create", "update", "patch"}, resources: []string{"nodes"}},
		{verbs: []string{"update", "patch"}, resources: []string{"nodes/status"}},
		{verbs: []string{"delete"}, resources: []string{"nodes"}, scope: ownName},
		// Its own ones only: AuthorizeChange sees to it.
		{verbs: []string{"get", "create", "update", "patch"}, resources: []string{"events", "events.events.k8s.io"}},
		{verbs: []string{"create"}, resources: []string{
			"tokenreviews.authentication.k8s.io", "subjectaccessreviews.authorization.k8s.io", "localsubjectaccessreviews.authorization.k8s.io",
		}},
		{verbs: []string{"create", "get", "list", "watch"}, resources: []string{"certificatesigningrequests.certificates.k8s.io"}},
		{verbs: read, resources: []string{"csidrivers.storage.k8s.io", "runtimeclasses.node.k8s.io"}},
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

func inNamespace(name string) func(Request) bool {
	return func(q Request) bool { return q.Namespace == name }
}

func ownName(q Request) bool { return q.Name == q.User.NodeName() }
