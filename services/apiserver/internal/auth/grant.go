package auth

import (
	"errors"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const rbacGroup = rbacv1.GroupName

// confirmGrant refuses to let the caller write a role or a binding that gives what the
// caller does not have, unless it may escalate or bind.
func (a *Authorizer) confirmGrant(r Request, old, obj metav1.Object) error {
	if role := r.User.Role(); role == accessv1.Role_ROLE_ADMIN || role == accessv1.Role_ROLE_SERVER {
		return nil
	}
	if old != nil && onlyCollected(old, obj) {
		return nil
	}
	switch o := obj.(type) {
	case *rbacv1.Role:
		return a.confirmRole(r, o.Rules)
	case *rbacv1.ClusterRole:
		return a.confirmClusterRole(r, old, o)
	case *rbacv1.RoleBinding:
		return a.confirmBinding(r, o.RoleRef, obj.GetName())
	case *rbacv1.ClusterRoleBinding:
		return a.confirmBinding(r, o.RoleRef, obj.GetName())
	}
	return nil
}

// onlyCollected tells whether a change is one that the garbage collector makes, who
// has none of the rights that a role gives.
func onlyCollected(old, obj metav1.Object) bool {
	was := old.(runtime.Object).DeepCopyObject().(metav1.Object)
	was.SetOwnerReferences(obj.GetOwnerReferences())
	was.SetFinalizers(obj.GetFinalizers())
	was.SetManagedFields(obj.GetManagedFields())
	was.SetResourceVersion(obj.GetResourceVersion())
	return equality.Semantic.DeepEqual(was, obj)
}

func (a *Authorizer) may(r Request, verb, resource, name string) bool {
	allowed, _ := a.Decide(Request{
		User: r.User, Verb: verb, Resource: rbacv1.Resource(resource), Namespace: r.Namespace, Name: name,
	})
	return allowed
}

func (a *Authorizer) confirmRole(r Request, rules []rbacv1.PolicyRule) error {
	if a.may(r, "escalate", r.Resource.Resource, r.Name) {
		return nil
	}
	if err := a.roles.Holds(r.User.Name, r.User.Groups, r.Namespace, rules); err != nil {
		return apierrors.NewForbidden(r.Resource, r.Name, err)
	}
	return nil
}

func (a *Authorizer) confirmClusterRole(r Request, old metav1.Object, obj *rbacv1.ClusterRole) error {
	if err := a.confirmRole(r, obj.Rules); err != nil || a.may(r, "escalate", "clusterroles", r.Name) {
		return err
	}
	was, _ := old.(*rbacv1.ClusterRole)
	if !aggregates(obj) && !aggregates(was) {
		return nil
	}
	if a.roles.Holds(r.User.Name, r.User.Groups, "", everything) != nil {
		return apierrors.NewForbidden(r.Resource, r.Name, errors.New("must have cluster-admin privileges to use the aggregationRule"))
	}
	return nil
}

func aggregates(role *rbacv1.ClusterRole) bool {
	return role != nil && role.AggregationRule != nil && len(role.AggregationRule.ClusterRoleSelectors) > 0
}

// everything is what a role may come to hold that is filled from others.
var everything = []rbacv1.PolicyRule{
	{Verbs: every, APIGroups: every, Resources: every}, {Verbs: every, NonResourceURLs: every},
}

func (a *Authorizer) confirmBinding(r Request, ref rbacv1.RoleRef, name string) error {
	resource := "roles"
	if ref.Kind == "ClusterRole" {
		resource = "clusterroles"
	}
	if a.may(r, "bind", resource, ref.Name) {
		return nil
	}
	rules, ok := a.roles.RulesOf(ref, r.Namespace)
	if !ok {
		return apierrors.NewNotFound(rbacv1.Resource(resource), ref.Name)
	}
	if err := a.roles.Holds(r.User.Name, r.User.Groups, r.Namespace, rules); err != nil {
		return apierrors.NewForbidden(r.Resource, name, err)
	}
	return nil
}
