// Package auth says who calls and what they may do to which object. What Muster's
// own parts may do is a table; what anybody else may do, roles say.
package auth

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/rbac"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Request is one thing that a caller wants to do: a verb on a resource or, where
// Path is set, on a path that is none ("/metrics").
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

	Path string
}

// Authorizer decides what callers may do. It may be called from any goroutine.
type Authorizer struct {
	store *state.Store
	roles *rbac.Authorizer
	graph graph
}

// NewAuthorizer returns an Authorizer by the roles in store.
func NewAuthorizer(store *state.Store) *Authorizer {
	return &Authorizer{store: store, roles: rbac.New(store), graph: graph{store}}
}

// Roles returns what is granted by roles and bindings.
func (a *Authorizer) Roles() *rbac.Authorizer { return a.roles }

// Authorize returns nil or Kubernetes' Forbidden error. What depends on the
// object itself is checked by AuthorizeChange, too.
func (a *Authorizer) Authorize(r Request) error {
	allowed, reason := a.Decide(r)
	if allowed {
		return nil
	}
	return forbidden(r, reason)
}

// Decide tells whether the caller may do what it wants, and why as far as there is
// something to say.
func (a *Authorizer) Decide(r Request) (allowed bool, reason string) {
	role := r.User.Role()
	if role == accessv1.Role_ROLE_ADMIN || role == accessv1.Role_ROLE_SERVER {
		return true, ""
	}
	if r.Path == "" && role == accessv1.Role_ROLE_NODE {
		if allowed, reason = a.decideNode(r); allowed {
			return true, ""
		}
	} else if r.Path == "" && tableAllows(r, role) {
		return true, ""
	}
	allowed, byRoles := a.roles.Authorize(&rbac.Request{
		User: r.User.Name, Groups: r.User.Groups, Verb: r.Verb,
		Group: r.Resource.Group, Resource: r.Resource.Resource, Subresource: r.Subresource,
		Namespace: r.Namespace, Name: r.Name, Path: r.Path,
	})
	if allowed || reason == "" {
		return allowed, byRoles
	}
	if byRoles != "" {
		reason += "\n" + byRoles
	}
	return false, reason
}

// ByTable tells whether the user is one of Muster's own parts, which may do more than
// roles and bindings say.
func ByTable(user access.User) bool {
	role := user.Role()
	return role == accessv1.Role_ROLE_SERVER || rules[role] != nil
}

// tableAllows tells whether the table of Muster's own parts allows the request.
func tableAllows(r Request, role accessv1.Role) bool {
	for _, rule := range rules[role] {
		if rule.covers(r) && (rule.scope == nil || rule.scope(r)) {
			return true
		}
	}
	return false
}

// forbidden words the refusal as Kubernetes does.
func forbidden(r Request, why string) error {
	text := fmt.Sprintf("User %q cannot %s path %q", r.User.Name, r.Verb, r.Path)
	if r.Path == "" {
		resource := r.Resource.Resource
		if r.Subresource != "" {
			resource += "/" + r.Subresource
		}
		text = fmt.Sprintf("User %q cannot %s resource %q in API group %q", r.User.Name, r.Verb, resource, r.Resource.Group)
		if r.Namespace != "" {
			text += fmt.Sprintf(" in the namespace %q", r.Namespace)
		} else {
			text += " at the cluster scope"
		}
	}
	if why != "" {
		text += ": " + why
	}
	return apierrors.NewForbidden(r.Resource, r.Name, errors.New(text))
}
