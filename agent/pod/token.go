package pod

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
)

// A token is renewed when this much of its life is over, and once a day.
const (
	tokenSpent  = 0.8
	tokenOldest = 24 * time.Hour
)

// tokenKind is what the pod's tokens are told apart by.
type tokenKind struct {
	audience string
	seconds  int64
}

// token is one that the agent got for the pod.
type token struct {
	text          string
	renew, expire time.Time
}

// Token implements volume.Source. A token that cannot be renewed is used until it is
// none any more.
func (w *worker) Token(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, error) {
	kind := tokenKind{audience: p.Audience}
	if p.ExpirationSeconds != nil {
		kind.seconds = *p.ExpirationSeconds
	}
	known, ok := w.tokens[kind]
	now := time.Now()
	if ok && now.Before(known.renew) {
		return known.text, nil
	}
	fresh, err := w.requestToken(ctx, pod, kind, now)
	if err != nil {
		if ok && now.Before(known.expire) {
			w.log.Warn("token not renewed yet", "error", err, "expires", known.expire)
			return known.text, nil
		}
		return "", fmt.Errorf("failed to fetch token: %w", err)
	}
	if w.tokens == nil {
		w.tokens = map[tokenKind]token{}
	}
	w.tokens[kind] = fresh
	return fresh.text, nil
}

func (w *worker) requestToken(ctx context.Context, pod *corev1.Pod, kind tokenKind, now time.Time) (token, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if kind.audience != "" {
		request.Spec.Audiences = []string{kind.audience}
	}
	if kind.seconds != 0 {
		request.Spec.ExpirationSeconds = &kind.seconds
	}
	answer, err := w.cfg.API.RequestToken(ctx, pod.Namespace, pod.Spec.ServiceAccountName, request)
	if err != nil {
		return token{}, err
	}
	expire := answer.Status.ExpirationTimestamp.Time
	life := min(time.Duration(float64(expire.Sub(now))*tokenSpent), tokenOldest)
	return token{text: answer.Status.Token, renew: now.Add(life), expire: expire}, nil
}
