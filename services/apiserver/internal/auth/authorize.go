// Package auth says who calls and what they may do to which object. What a role
// may do is a table; nothing else decides it.
package auth

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"

	"github.com/musterhq/muster/internal/access"
)

// Request is one thing that a caller wants to do.
type Request struct {
	User        access.User
	Verb        string
	Resource    schema.GroupResource
	Subresource string
	Namespace   string
	// Name of the object; empty for collections and new objects.
	Name string
	// Fields selected by a list or watch; nil for other verbs.
	Fields fields.Selector
}

// Graph tells what the objects of a node refer to. It is called while a request
// waits, and must not block.
type Graph interface {
	// NodeReads tells whether a pod on the node needs the config map or secret.
	NodeReads(node, resource, namespace, name string) bool
}

// Authorize returns nil or Kubernetes' Forbidden error. What depends on the
// object itself is checked by AuthorizeChange, too.
func Authorize(r Request, graph Graph) error {
	for _, rule := range rules[r.User.Role()] {
		if rule.covers(r) && (rule.scope == nil || rule.scope(r, graph)) {
			return nil
		}
	}
	return forbidden(r, "")
}

// AuthorizeChange checks what only the objects tell: that a node touches only
// what is its own. old is nil for a new object, obj for a read or deletion.
func AuthorizeChange(r Request, old, obj metav1.Object) error {
	if r.User.Role() != accessv1.Role_ROLE_NODE {
		return nil
	}
	node := r.User.NodeName()
	for _, o := range []metav1.Object{old, obj} {
		if pod, ok := o.(*corev1.Pod); ok && pod != nil && pod.Spec.NodeName != node {
			return forbidden(r, fmt.Sprintf("node %q can only act on pods with spec.nodeName set to itself", node))
		}
		if event, ok := o.(*corev1.Event); ok && event != nil && event.Source.Host != node {
			return forbidden(r, fmt.Sprintf("node %q can only act on events with source.host set to itself", node))
		}
	}
	if now, ok := obj.(*corev1.Node); ok && now != nil {
		was, _ := old.(*corev1.Node)
		if why := restrictedNode(was, now); why != "" {
			return forbidden(r, fmt.Sprintf("node %q is not allowed to %s", node, why))
		}
	}
	if r.Verb == "create" && old == nil && obj != nil && slices.Contains(ownByName, r.Resource) && obj.GetName() != node {
		return forbidden(r, fmt.Sprintf("node %q is not allowed to create %q", node, obj.GetName()))
	}
	return nil
}

// forbidden words the refusal as Kubernetes does.
func forbidden(r Request, why string) error {
	resource := r.Resource.Resource
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	text := fmt.Sprintf("User %q cannot %s resource %q in API group %q", r.User.Name, r.Verb, resource, r.Resource.Group)
	if r.Namespace != "" {
		text += fmt.Sprintf(" in the namespace %q", r.Namespace)
	} else {
		text += " at the cluster scope"
	}
	if why != "" {
		text += ": " + why
	}
	return apierrors.NewForbidden(r.Resource, r.Name, fmt.Errorf("%s", text))
}
