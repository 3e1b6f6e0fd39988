package serviceaccount_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/serviceaccount"
)

func newKey(t testing.TB) []byte {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rig is a cluster with one of each that tokens can be bound to.
type rig struct {
	testing.TB
	replica *objectstest.Replica
}

func newRig(t testing.TB) rig {
	r := rig{t, objectstest.NewReplica()}
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name)}
	}
	r.put("serviceaccounts", &corev1.ServiceAccount{ObjectMeta: meta("default", "robot")})
	r.put("secrets", &corev1.Secret{ObjectMeta: meta("default", "secret")})
	r.put("nodes", &corev1.Node{ObjectMeta: meta("", "n1")})
	r.put("pods", &corev1.Pod{ObjectMeta: meta("default", "pod"), Spec: corev1.PodSpec{ServiceAccountName: "robot", NodeName: "n1"}})
	r.put("pods", &corev1.Pod{ObjectMeta: meta("default", "foreign"), Spec: corev1.PodSpec{ServiceAccountName: "default"}})
	return r
}

func (r rig) put(resource string, obj interface {
	metav1.Object
	Marshal() ([]byte, error)
}) {
	r.Helper()
	value, err := obj.Marshal()
	if err != nil {
		r.Fatal(err)
	}
	r.apply(&storev1.Operation{Key: &storev1.Key{Resource: resource, Namespace: obj.GetNamespace(), Name: obj.GetName()},
		Action: storev1.Action_ACTION_PUT, Value: value})
}

func (r rig) delete(resource, namespace, name string) {
	r.apply(&storev1.Operation{Key: &storev1.Key{Resource: resource, Namespace: namespace, Name: name}, Action: storev1.Action_ACTION_DELETE})
}

func (r rig) apply(op *storev1.Operation) {
	r.Helper()
	if _, err := r.replica.Apply(r.Context(), &storev1.Transaction{Operations: []*storev1.Operation{op}}); err != nil {
		r.Fatal(err)
	}
}

func (r rig) tokens(keys ...[]byte) *serviceaccount.Tokens {
	r.Helper()
	var all []byte
	for _, key := range keys {
		all = append(all, key...)
	}
	parsed, err := serviceaccount.ParseKeys(all)
	if err != nil {
		r.Fatal(err)
	}
	tokens, err := serviceaccount.New(serviceaccount.Config{Replica: r.replica, Keys: parsed})
	if err != nil {
		r.Fatal(err)
	}
	return tokens
}

func (r rig) issue(tokens *serviceaccount.Tokens, seconds int64, ref *authenticationv1.BoundObjectReference, audiences ...string) string {
	r.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds, BoundObjectRef: ref}}
	if err := tokens.Issue(r.Context(), "default", "robot", request); err != nil {
		r.Fatal(err)
	}
	return request.Status.Token
}

func to(kind, name string) *authenticationv1.BoundObjectReference {
	return &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: kind, Name: name}
}

func judge(t *testing.T, tokens *serviceaccount.Tokens, token string) string {
	t.Helper()
	_, _, err := tokens.Verify(context.Background(), token, tokens.Audiences())
	if err != nil {
		return err.Error()
	}
	return "good"
}

// The claims of a pod's token are those that Kubernetes documents.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		token := r.issue(r.tokens(newKey(t)), 3600, to("Pod", "pod"))
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatal(err)
		}
		if id, _ := got["jti"].(string); len(id) != 36 {
			t.Errorf("jti %q", id)
		}
		delete(got, "jti")
		now := float64(time.Now().Unix())
		want := map[string]any{
			"iss": "https://kubernetes.default.svc.cluster.local", "aud": []any{"https://kubernetes.default.svc.cluster.local"},
			"sub": "system:serviceaccount:default:robot", "iat": now, "nbf": now, "exp": now + 3600,
			"kubernetes.io": map[string]any{
				"namespace": "default", "serviceaccount": map[string]any{"name": "robot", "uid": "uid-robot"},
				"pod": map[string]any{"name": "pod", "uid": "uid-pod"}, "node": map[string]any{"name": "n1", "uid": "uid-n1"},
			},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("claims\n%v, want\n%v", got, want)
		}
	})
}

func TestUser(t *testing.T) {
	r := newRig(t)
	tokens := r.tokens(newKey(t))
	user, audiences, err := tokens.Verify(t.Context(), r.issue(tokens, 3600, to("Pod", "pod"), "vault", tokens.Audiences()[0]), []string{"vault", "other"})
	if err != nil || len(audiences) != 1 || audiences[0] != "vault" {
		t.Fatalf("audiences %v, %v", audiences, err)
	}
	if user.Name != "system:serviceaccount:default:robot" || user.UID != "uid-robot" || strings.Join(user.Groups, " ") != "system:serviceaccounts system:serviceaccounts:default system:authenticated" {
		t.Errorf("user %+v", user)
	}
	for key, want := range map[string]string{"pod-name": "pod", "pod-uid": "uid-pod", "node-name": "n1", "node-uid": "uid-n1"} {
		if got := user.Extra["authentication.kubernetes.io/"+key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s", key, got, want)
		}
	}
}

// A token is one for as long as what it is bound to is there.
func TestTokensEnd(t *testing.T) {
	for name, test := range map[string]struct {
		bound *authenticationv1.BoundObjectReference
		end   func(r rig)
		want  string
	}{
		"time":       {nil, func(rig) { time.Sleep(time.Hour + 2*time.Minute) }, "service account token has expired"},
		"almost":     {nil, func(rig) { time.Sleep(time.Hour - time.Second) }, "good"},
		"no account": {nil, func(r rig) { r.delete("serviceaccounts", "default", "robot") }, `serviceaccounts "robot" not found`},
		"no pod":     {to("Pod", "pod"), func(r rig) { r.delete("pods", "default", "pod") }, "service account token has been invalidated"},
		"no secret":  {to("Secret", "secret"), func(r rig) { r.delete("secrets", "default", "secret") }, "service account token has been invalidated"},
		"no node":    {to("Node", "n1"), func(r rig) { r.delete("nodes", "", "n1") }, "service account token has been invalidated"},
		"pod's node": {to("Pod", "pod"), func(r rig) { r.delete("nodes", "", "n1") }, "good"},
		"new account": {nil, func(r rig) {
			r.put("serviceaccounts", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "robot", UID: "other"}})
		}, "service account UID (other) does not match claim (uid-robot)"},
		"ending pod": {to("Pod", "pod"), func(r rig) {
			now := metav1.Now()
			r.put("pods", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod", UID: "uid-pod", DeletionTimestamp: &now}})
			time.Sleep(59 * time.Second)
		}, "good"},
		"ended pod": {to("Pod", "pod"), func(r rig) {
			now := metav1.Now()
			r.put("pods", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod", UID: "uid-pod", DeletionTimestamp: &now}})
			time.Sleep(62 * time.Second)
		}, "service account token has been invalidated"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				tokens := r.tokens(newKey(t))
				token := r.issue(tokens, 3600, test.bound)
				if got := judge(t, tokens, token); got != "good" {
					t.Fatalf("fresh: %s", got)
				}
				test.end(r)
				if got := judge(t, tokens, token); got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
			})
		})
	}
}

// Every key that is listed verifies, the first one signs.
func TestRotation(t *testing.T) {
	r := newRig(t)
	old, fresh := newKey(t), newKey(t)
	before, both, after := r.tokens(old), r.tokens(fresh, old), r.tokens(fresh)
	byOld, byFresh := r.issue(before, 3600, nil), r.issue(both, 3600, nil)
	for _, test := range []struct {
		name   string
		tokens *serviceaccount.Tokens
		token  string
		good   bool
	}{
		{"old by both", both, byOld, true}, {"new by both", both, byFresh, true},
		{"new by new", after, byFresh, true}, {"old by new", after, byOld, false}, {"new by old", before, byFresh, false},
	} {
		if got := judge(t, test.tokens, test.token); (got == "good") != test.good {
			t.Errorf("%s: %s", test.name, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	tokens := r.tokens(newKey(t))
	good := r.issue(tokens, 3600, nil)
	for name, token := range map[string]string{
		"nothing": "", "no token": "a.b.c", "cut short": good[:len(good)-8], "another payload": strings.Replace(good, ".", ".e30", 1),
		"another audience": r.issue(tokens, 3600, nil, "vault"),
		"no signature":     "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".",
	} {
		if got := judge(t, tokens, token); got == "good" {
			t.Errorf("%s was taken", name)
		}
	}
	second := time.Second.Nanoseconds() / int64(time.Second)
	for _, test := range []struct {
		name, account string
		change        func(*authenticationv1.TokenRequest)
		is            func(error) bool
		want          string
	}{
		{"a pod of another account", "robot", func(q *authenticationv1.TokenRequest) { q.Spec.BoundObjectRef = to("Pod", "foreign") }, apierrors.IsBadRequest,
			`cannot bind token for serviceaccount "robot" to pod running with serviceaccount "default"`},
		{"a pod that is not there", "robot", func(q *authenticationv1.TokenRequest) { q.Spec.BoundObjectRef = to("Pod", "x") }, apierrors.IsNotFound, `pods "x" not found`},
		{"a config map", "robot", func(q *authenticationv1.TokenRequest) { q.Spec.BoundObjectRef = to("ConfigMap", "x") }, apierrors.IsBadRequest,
			"cannot bind token to object of type /v1, Kind=ConfigMap"},
		{"another uid", "robot", func(q *authenticationv1.TokenRequest) {
			q.Spec.BoundObjectRef = to("Secret", "secret")
			q.Spec.BoundObjectRef.UID = "other"
		}, apierrors.IsConflict, `Operation cannot be fulfilled on Secret "secret": the UID in the bound object reference (other) does not match the UID in record. The object might have been deleted and then recreated`},
		{"a second", "robot", func(q *authenticationv1.TokenRequest) { q.Spec.ExpirationSeconds = &second }, apierrors.IsInvalid,
			`TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes`},
		{"another name", "robot", func(q *authenticationv1.TokenRequest) { q.Name = "other" }, apierrors.IsInvalid,
			`TokenRequest.authentication.k8s.io "robot" is invalid: metadata.name: Invalid value: "other": must match the service account name if specified`},
		{"nobody", "x", func(*authenticationv1.TokenRequest) {}, apierrors.IsNotFound, `serviceaccounts "x" not found`},
	} {
		request := &authenticationv1.TokenRequest{}
		test.change(request)
		if err := tokens.Issue(t.Context(), "default", test.account, request); !test.is(err) || err.Error() != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestLegacyTokens(t *testing.T) {
	r := newRig(t)
	tokens := r.tokens(newKey(t))
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "robot", UID: "uid-robot"}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "secret", UID: "uid-secret"}}
	token, err := tokens.IssueLegacy(account, secret)
	if err != nil {
		t.Fatal(err)
	}
	if got := judge(t, tokens, token); got != "service account token has been invalidated" {
		t.Errorf("a token that lies nowhere: %s", got)
	}
	secret.Data = map[string][]byte{"token": []byte(token)}
	r.put("secrets", secret)
	if got := judge(t, tokens, token); got != "good" {
		t.Errorf("a token in its secret: %s", got)
	}
	if !tokens.Looks(token) || tokens.Looks("abc") || tokens.Looks("a.b.c") {
		t.Error("tokens are not told from others")
	}
}

// BenchmarkVerify is what a request costs whose token was seen before.
func BenchmarkVerify(b *testing.B) {
	var t testing.T
	r := newRig(&t)
	key, err := pki.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	tokens := r.tokens(key)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: to("Pod", "pod")}}
	if err := tokens.Issue(b.Context(), "default", "robot", request); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !tokens.Looks(request.Status.Token) {
			b.Fatal("looks like none")
		}
		if _, _, err := tokens.Verify(b.Context(), request.Status.Token, tokens.Audiences()); err != nil {
			b.Fatal(err)
		}
	}
}
