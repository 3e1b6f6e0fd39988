// Package reviews answers questions about access: who somebody is, and what they may
// do. Nothing of it is stored.
package reviews

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Config is what Answers needs.
type Config struct {
	Authorizer *auth.Authorizer
	// Review tells whom a bearer token stands for, and which of the audiences it is
	// good for; no audiences are those of this API. It may block until ctx ends.
	Review func(ctx context.Context, token string, audiences []string) (access.User, []string, error)
	// Now is the clock; nil is this machine's.
	Now func() time.Time
}

// Answers returns what answers the reviews, as objects.Config wants it.
func Answers(config Config) (map[string]objects.Answerer, error) {
	if config.Authorizer == nil || config.Review == nil {
		return nil, errors.New("new reviews: authorizer and review of tokens are required")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	const authentication, authorization = "." + authenticationv1.GroupName, "." + authorizationv1.GroupName
	return map[string]objects.Answerer{
		"tokenreviews" + authentication:             config.token,
		"selfsubjectreviews" + authentication:       config.self,
		"subjectaccessreviews" + authorization:      config.access,
		"localsubjectaccessreviews" + authorization: config.localAccess,
		"selfsubjectaccessreviews" + authorization:  config.selfAccess,
		"selfsubjectrulesreviews" + authorization:   config.selfRules,
	}, nil
}

func caller(ctx context.Context) (access.User, error) {
	user, ok := access.UserFrom(ctx)
	if !ok {
		return user, apierrors.NewUnauthorized("Unauthorized")
	}
	return user, nil
}

func (c Config) token(ctx context.Context, _ objects.Target, obj registry.Object) (registry.Object, error) {
	review := obj.(*authenticationv1.TokenReview)
	if review.Spec.Token == "" {
		return nil, apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	review.Status = authenticationv1.TokenReviewStatus{}
	user, audiences, err := c.Review(ctx, review.Spec.Token, review.Spec.Audiences)
	if err != nil {
		review.Status.Error = "[invalid bearer token, " + err.Error() + "]"
		return review, nil
	}
	review.Status.Authenticated, review.Status.Audiences, review.Status.User = true, audiences, userInfo(user)
	return review, nil
}

func userInfo(user access.User) authenticationv1.UserInfo {
	out := authenticationv1.UserInfo{Username: user.Name, UID: user.UID, Groups: user.Groups}
	for key, values := range user.Extra {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[key] = values
	}
	return out
}

func (c Config) self(ctx context.Context, _ objects.Target, obj registry.Object) (registry.Object, error) {
	user, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	review := obj.(*authenticationv1.SelfSubjectReview)
	review.CreationTimestamp = metav1.NewTime(c.Now().UTC().Truncate(time.Second))
	review.Status.UserInfo = userInfo(user)
	return review, nil
}

func (c Config) access(_ context.Context, _ objects.Target, obj registry.Object) (registry.Object, error) {
	review := obj.(*authorizationv1.SubjectAccessReview)
	review.Status = c.decide(subject(&review.Spec), review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	return review, nil
}

func (c Config) localAccess(_ context.Context, _ objects.Target, obj registry.Object) (registry.Object, error) {
	review := obj.(*authorizationv1.LocalSubjectAccessReview)
	review.Status = c.decide(subject(&review.Spec), review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	return review, nil
}

func (c Config) selfAccess(ctx context.Context, _ objects.Target, obj registry.Object) (registry.Object, error) {
	user, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	review := obj.(*authorizationv1.SelfSubjectAccessReview)
	review.Status = c.decide(user, review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	return review, nil
}

func subject(spec *authorizationv1.SubjectAccessReviewSpec) access.User {
	user := access.User{Name: spec.User, UID: spec.UID, Groups: spec.Groups}
	for _, key := range slices.Sorted(maps.Keys(spec.Extra)) {
		if user.Extra == nil {
			user.Extra = map[string][]string{}
		}
		user.Extra[key] = spec.Extra[key]
	}
	return user
}
