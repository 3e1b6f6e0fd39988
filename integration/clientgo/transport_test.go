package clientgo_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/integration/loopback"
	"github.com/musterhq/muster/internal/pki"
)

// heard hears warnings.
type heard func(text string)

func (h heard) HandleWarningHeader(_ int, _, text string) { h(text) }

const robot = "system:serviceaccount:default:robot"

// tokens asks for tokens of a service account.
func tokens(t *testing.T, admin kubernetes.Interface) func(seconds int64) string {
	t.Helper()
	accounts := admin.CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return func(seconds int64) string {
		t.Helper()
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
		answer, err := accounts.CreateToken(context.WithoutCancel(t.Context()), "robot", request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status.Token
	}
}

// whoami asks the server who one is.
func whoami(ctx context.Context, clients kubernetes.Interface) (authenticationv1.UserInfo, error) {
	review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return review.Status.UserInfo, nil
}

// TestTokenFile reads a token as pods do, from a file in which the kubelet puts a new
// one before the old one runs out.
func TestTokenFile(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		issue, file := tokens(t, c.clients(adminHost)), filepath.Join(t.TempDir(), "token")
		put := func() {
			t.Helper()
			if err := os.WriteFile(file, []byte(issue(600)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		put()
		clients := c.clients(clientHost, func(config *rest.Config) { config.CertData, config.KeyData, config.BearerTokenFile = nil, nil, file })
		for range 6 {
			if user, err := whoami(t.Context(), clients); err != nil || user.Username != robot {
				t.Fatalf("%+v, %v", user, err)
			}
			time.Sleep(8 * time.Minute)
			put()
			time.Sleep(time.Minute)
		}
		time.Sleep(11 * time.Minute)
		if user, err := whoami(t.Context(), clients); !apierrors.IsUnauthorized(err) {
			t.Errorf("with a token that has run out: %+v, %v", user, err)
		}
	})
}

// TestExec gets credentials from a command, as clouds hand them out.
func TestExec(t *testing.T) {
	t.Parallel()
	server := loopback.Start(t)
	issue := tokens(t, kubernetes.NewForConfigOrDie(server.Config(pki.AdminIdentity())))
	credential, err := json.Marshal(map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": map[string]string{"token": issue(600)},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(file, credential, 0o600); err != nil {
		t.Fatal(err)
	}
	config := server.Config(pki.Identity{})
	config.ExecProvider = &clientcmdapi.ExecConfig{Command: "cat", Args: []string{file}, APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode}
	if user, err := whoami(t.Context(), kubernetes.NewForConfigOrDie(config)); err != nil || user.Username != robot || !slices.Contains(user.Groups, "system:serviceaccounts:default") {
		t.Errorf("%+v, %v", user, err)
	}
}

// TestImpersonation acts as somebody else, with all that one can be.
func TestImpersonation(t *testing.T) {
	t.Parallel()
	config := loopback.Start(t).Config(pki.AdminIdentity())
	config.Impersonate = rest.ImpersonationConfig{UserName: "jane", UID: "42", Groups: []string{"developers"}, Extra: map[string][]string{"example.com/Floor": {"3", "4"}}}
	clients := kubernetes.NewForConfigOrDie(config)
	user, err := whoami(t.Context(), clients)
	if err != nil || user.Username != "jane" || user.UID != "42" || !slices.Equal(user.Groups, []string{"developers", "system:authenticated"}) || !slices.Equal(user.Extra["example.com/floor"], []string{"3", "4"}) {
		t.Errorf("%+v, %v", user, err)
	}
	_, err = clients.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	want := `secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "default"`
	if !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// TestWarnings are heard by the handler of the configuration, and by that of a request.
func TestWarnings(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var said []string
	config := loopback.Start(t).Config(pki.AdminIdentity())
	config.WarningHandler = heard(func(text string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, text)
	})
	clients, ctx := kubernetes.NewForConfigOrDie(config), t.Context()
	if _, err := clients.CoreV1().Endpoints("default").List(ctx, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	post := func(validation, body string) error {
		return clients.CoreV1().RESTClient().Post().Namespace("default").Resource("configmaps").
			Param("fieldValidation", validation).SetHeader("Content-Type", "application/json").Body([]byte(body)).Do(ctx).Error()
	}
	wrong := `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "date": {}, "data": {"a": "b", "a": "c"}}`
	err := post("Strict", wrong)
	strict := `ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "date", duplicate field "data.a"`
	if !apierrors.IsBadRequest(err) || err.Error() != strict {
		t.Errorf("strict: %v\nwant\n%s", err, strict)
	}
	if err := post("Warn", wrong); err != nil {
		t.Errorf("warn: %v", err)
	}
	if err := post("Ignore", strings.Replace(wrong, `"m"`, `"n"`, 1)); err != nil {
		t.Errorf("ignore: %v", err)
	}
	want := []string{"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice", `unknown field "date"`, `duplicate field "data.a"`}
	if !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// TestRetryAfter: client-go asks again by itself, after the time that is said, where a
// pod's budget is still to be counted, and not where nobody can say for how long.
func TestRetryAfter(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		admin := c.clients(adminHost)
		pods, budgets := runningPods(t, admin, "a", "b"), admin.PolicyV1().PodDisruptionBudgets("default")
		budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		}}
		budget, err := budgets.Create(t.Context(), budget, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var after []string
		clients := c.clients(clientHost, func(config *rest.Config) {
			config.Wrap(func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					answer, err := next.RoundTrip(r)
					if err == nil && answer.StatusCode == http.StatusTooManyRequests {
						after = append(after, answer.Header.Get("Retry-After"))
					}
					return answer, err
				})
			})
		})
		evict := func(i int) error {
			eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: pods[i].Name}}
			return clients.PolicyV1().Evictions("default").Evict(t.Context(), eviction)
		}
		counted := time.AfterFunc(15*time.Second, func() { // as the controller of budgets does
			budget.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: budget.Generation, DisruptionsAllowed: 1, CurrentHealthy: 2, DesiredHealthy: 1, ExpectedPods: 2}
			if _, err := budgets.UpdateStatus(context.WithoutCancel(t.Context()), budget, metav1.UpdateOptions{}); err != nil {
				t.Error(err)
			}
		})
		defer counted.Stop()
		begun := time.Now()
		if err := evict(0); err != nil || time.Since(begun) < 20*time.Second || !slices.Equal(after, []string{"10", "10"}) {
			t.Errorf("evicted after %v, told to come after %q: %v", time.Since(begun), after, err)
		}
		after = nil
		err = evict(1)
		const refusal = "Cannot evict pod as it would violate the pod's disruption budget."
		if !apierrors.IsTooManyRequests(err) || err.Error() != refusal || !apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) {
			t.Errorf("%v, told to come after %q", err, after)
		}
	})
}

// runningPods makes pods of a Service, ready on a node, without a kubelet.
func runningPods(t *testing.T, admin kubernetes.Interface, names ...string) []*corev1.Pod {
	t.Helper()
	api := admin.CoreV1().Pods("default")
	var out []*corev1.Pod
	for _, name := range names {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web"}},
			Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
		}
		pod, err := api.Create(t.Context(), pod, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		if pod, err = api.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		out = append(out, pod)
	}
	return out
}
