package auth

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
)

// nodeRule decides what a node may do to a resource of which only some objects are
// its business. The reason is Kubernetes' own word for why not.
type nodeRule func(a *Authorizer, r Request) (allowed bool, reason string)

// nodeRules has what the node authorizer of Kubernetes looks at more closely. A node
// may do to other resources what the table says.
var nodeRules = map[schema.GroupResource]nodeRule{
	{Resource: "secrets"}:                                    (*Authorizer).nodeReads,
	{Resource: "configmaps"}:                                 (*Authorizer).nodeReads,
	{Resource: "persistentvolumeclaims"}:                     (*Authorizer).nodeClaims,
	{Resource: "persistentvolumes"}:                          (*Authorizer).nodeGets,
	{Group: "storage.k8s.io", Resource: "volumeattachments"}: (*Authorizer).nodeGets,
	{Group: "resource.k8s.io", Resource: "resourceclaims"}:   (*Authorizer).nodeGets,
	{Group: "resource.k8s.io", Resource: "resourceslices"}:   (*Authorizer).nodeSlices,
	{Resource: "serviceaccounts"}:                            (*Authorizer).nodeTokens,
	{Group: "coordination.k8s.io", Resource: "leases"}:       (*Authorizer).nodeLeases,
	{Group: "storage.k8s.io", Resource: "csinodes"}:          (*Authorizer).nodeCSI,
	{Resource: "pods"}:                                       (*Authorizer).nodePods,
}

func (a *Authorizer) decideNode(r Request) (bool, string) {
	if rule, ok := nodeRules[r.Resource]; ok {
		return rule(a, r)
	}
	return tableAllows(r, accessv1.Role_ROLE_NODE), ""
}

// related tells whether the node's pods need the object.
func (a *Authorizer) related(r Request) (bool, string) {
	if r.Name == "" {
		return false, "No Object name found"
	}
	node := r.User.NodeName()
	if a.graph.NodeReads(node, r.Resource.String(), r.Namespace, r.Name) {
		return true, ""
	}
	return false, unrelated(node)
}

func unrelated(node string) string {
	return fmt.Sprintf("no relationship found between node '%s' and this object", node)
}

func (a *Authorizer) nodeReads(r Request) (bool, string) {
	switch {
	case !matches(read, r.Verb):
		return false, "can only read resources of this type"
	case r.Subresource != "":
		return false, "cannot read subresource"
	case r.Namespace == "":
		return false, "can only read namespaced object of this type"
	}
	return a.related(r)
}

func (a *Authorizer) nodeGets(r Request) (bool, string) {
	switch {
	case r.Verb != "get":
		return false, "can only get individual resources of this type"
	case r.Subresource != "":
		return false, "cannot get subresource"
	}
	return a.related(r)
}

func (a *Authorizer) nodeClaims(r Request) (bool, string) {
	if r.Subresource != "status" {
		return a.nodeGets(r)
	}
	if r.Verb != "update" && r.Verb != "patch" {
		return false, "can only get/update/patch this type"
	}
	return a.related(r)
}

func (a *Authorizer) nodeTokens(r Request) (bool, string) {
	switch {
	case r.Verb != "create" || r.Name == "":
		return false, "can only create tokens for individual service accounts"
	case r.Subresource != "token":
		return false, "can only create token subresource of serviceaccount"
	}
	return a.related(r)
}

func (a *Authorizer) nodeLeases(r Request) (bool, string) {
	switch {
	case !matches(nodeOwned, r.Verb):
		return false, "can only get, create, update, patch, or delete a node lease"
	case r.Namespace != "kube-node-lease":
		return false, `can only access leases in the "kube-node-lease" system namespace`
	case r.Verb != "create" && r.Name != r.User.NodeName():
		return false, "can only access node lease with the same name as the requesting node"
	}
	return true, ""
}

func (a *Authorizer) nodeCSI(r Request) (bool, string) {
	switch {
	case !matches(nodeOwned, r.Verb):
		return false, "can only get, create, update, patch, or delete a CSINode"
	case r.Subresource != "":
		return false, "cannot authorize CSINode subresources"
	case r.Verb != "create" && r.Name != r.User.NodeName():
		return false, "can only access CSINode with the same name as the requesting node"
	}
	return true, ""
}

func (a *Authorizer) nodeSlices(r Request) (bool, string) {
	switch {
	case r.Subresource != "":
		return false, "cannot authorize ResourceSlice subresources"
	case r.Verb == "create":
		return true, ""
	case matches([]string{"watch", "list", "deletecollection"}, r.Verb):
		if selects(r, "nodeName") {
			return true, ""
		}
		return false, "can only list/watch/deletecollection resourceslices with nodeName field selector"
	}
	return a.related(r)
}

// nodePods allows what AuthorizeChange looks at again when the pod is at hand: that
// it is bound to the node.
func (a *Authorizer) nodePods(r Request) (bool, string) {
	switch r.Subresource {
	case "":
		switch r.Verb {
		case "get", "create", "delete":
			return true, ""
		case "list", "watch":
			if selects(r, "spec.nodeName") {
				return true, ""
			}
			if r.Name != "" {
				return a.related(r)
			}
			return false, "can only list/watch pods with spec.nodeName field selector"
		}
	case "status":
		// Kubernetes has no get of it; it tells no more than a get of the pod.
		return r.Verb == "get" || r.Verb == "update" || r.Verb == "patch", ""
	case "eviction":
		return r.Verb == "create", ""
	}
	return false, ""
}

// selects holds for a list of what has the node's name in the field.
func selects(r Request, field string) bool {
	if r.Fields == nil {
		return false
	}
	node, ok := r.Fields.RequiresExactMatch(field)
	return ok && node == r.User.NodeName()
}
