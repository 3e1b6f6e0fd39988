package pod

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// issuer hands out numbered tokens, unless it is away.
type issuer struct {
	API
	issued int
	asked  authenticationv1.TokenRequestSpec
	away   bool
}

func (i *issuer) RequestToken(_ context.Context, namespace, account string, r *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	if i.away {
		return nil, errors.New("nobody is there")
	}
	i.issued++
	i.asked = r.Spec
	r.Status.Token = fmt.Sprintf("%s/%s#%d", namespace, account, i.issued)
	r.Status.ExpirationTimestamp = metav1.NewTime(time.Now().Add(time.Duration(*r.Spec.ExpirationSeconds) * time.Second))
	return r, nil
}

func TestTokensAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &issuer{}
		w := &worker{cfg: &Config{API: api}, log: slog.New(slog.DiscardHandler)}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "7"}, Spec: corev1.PodSpec{ServiceAccountName: "robot"}}
		seconds := int64(1000)
		ask := func(audience string) string {
			t.Helper()
			token, err := w.Token(t.Context(), pod, &corev1.ServiceAccountTokenProjection{Audience: audience, ExpirationSeconds: &seconds})
			if err != nil {
				return "refused"
			}
			return token
		}
		step := func(what, audience, want string) {
			t.Helper()
			if got := ask(audience); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		step("at first", "", "default/robot#1")
		if ref := api.asked.BoundObjectRef; ref.Kind != "Pod" || ref.APIVersion != "v1" || ref.Name != "p" || ref.UID != "7" || api.asked.Audiences != nil {
			t.Errorf("asked for %+v", api.asked)
		}
		step("for another audience", "vault", "default/robot#2")
		time.Sleep(799 * time.Second)
		step("before four fifths of its life", "", "default/robot#1")
		api.away = true
		time.Sleep(2 * time.Second)
		step("that cannot be renewed", "", "default/robot#1")
		time.Sleep(200 * time.Second)
		step("that has expired", "", "refused")
		api.away = false
		step("again", "", "default/robot#3")
		seconds = 30 * 24 * 60 * 60
		step("for a month", "", "default/robot#4")
		time.Sleep(25 * time.Hour)
		step("a day later", "", "default/robot#5")
	})
}
