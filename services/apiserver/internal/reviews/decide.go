package reviews

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// decide answers whether the user may do what the attributes say, of which one is set.
func (c Config) decide(user access.User, on *authorizationv1.ResourceAttributes, at *authorizationv1.NonResourceAttributes) authorizationv1.SubjectAccessReviewStatus {
	request := auth.Request{User: user}
	if on != nil {
		request.Verb, request.Namespace, request.Name = on.Verb, on.Namespace, on.Name
		request.Resource = schema.GroupResource{Group: on.Group, Resource: on.Resource}
		request.Subresource, request.Fields = on.Subresource, selected(on.FieldSelector)
	} else {
		request.Verb, request.Path = at.Verb, at.Path
	}
	allowed, reason := c.Authorizer.Decide(request)
	return authorizationv1.SubjectAccessReviewStatus{Allowed: allowed, Reason: reason}
}

// selected returns the fields that must have a value; what else is selected by makes no
// difference to what is allowed.
func selected(s *authorizationv1.FieldSelectorAttributes) fields.Selector {
	if s == nil {
		return nil
	}
	if selector, err := fields.ParseSelector(s.RawSelector); s.RawSelector != "" && err == nil {
		return selector
	}
	set := fields.Set{}
	for _, r := range s.Requirements {
		if r.Operator == metav1.FieldSelectorOpIn && len(r.Values) == 1 {
			set[r.Key] = r.Values[0]
		}
	}
	return set.AsSelector()
}

// selfRules lists what the caller may do, as far as roles say it.
func (c Config) selfRules(ctx context.Context, _ objects.Target, obj registry.Object) (registry.Object, error) {
	user, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	namespace := obj.(*authorizationv1.SelfSubjectRulesReview).Spec.Namespace
	if namespace == "" {
		return nil, apierrors.NewBadRequest("no namespace on request")
	}
	rules, unresolved := c.Authorizer.Roles().RulesFor(user.Name, user.Groups, namespace)
	out := &authorizationv1.SelfSubjectRulesReview{Status: authorizationv1.SubjectRulesReviewStatus{
		ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{},
	}}
	for _, rule := range rules {
		if len(rule.NonResourceURLs) > 0 {
			out.Status.NonResourceRules = append(out.Status.NonResourceRules, authorizationv1.NonResourceRule{Verbs: rule.Verbs, NonResourceURLs: rule.NonResourceURLs})
			continue
		}
		out.Status.ResourceRules = append(out.Status.ResourceRules, authorizationv1.ResourceRule{
			Verbs: rule.Verbs, APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames,
		})
	}
	if unresolved != nil {
		out.Status.EvaluationError = unresolved.Error()
	}
	if auth.ByTable(user) {
		out.Status.Incomplete = true
		out.Status.EvaluationError = "what this part of the cluster may do is not all said by roles"
	}
	return out, nil
}
