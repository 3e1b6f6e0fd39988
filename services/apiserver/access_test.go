package apiserver_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/internal/pki"
)

func as(user string, groups ...string) func(*rest.Config) {
	return func(c *rest.Config) { c.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups} }
}

func bindRole(t *testing.T, admin *kubernetes.Clientset, namespace, role string, subject rbacv1.Subject) {
	t.Helper()
	_, err := admin.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role + ":" + subject.Name}, Subjects: []rbacv1.Subject{subject},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: role},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRoles has users do what roles say, and be told what they lack.
func TestRoles(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	admin := server.client(t, pki.AdminIdentity())
	ann := server.client(t, pki.AdminIdentity(), as("ann", "dev"))
	_, err := ann.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	const refused = `pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"`
	if !apierrors.IsForbidden(err) || err.Error() != refused {
		t.Fatalf("without a role: %v", err)
	}
	bindRole(t, admin, "default", "edit", rbacv1.Subject{Kind: "User", Name: "ann"})
	if _, err := ann.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("with a role: %v", err)
	}
	if _, err := ann.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c"}}, metav1.CreateOptions{}); err != nil {
		t.Errorf("create: %v", err)
	}
	if _, err := ann.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("in another namespace: %v", err)
	}
	if _, err := ann.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) ||
		err.Error() != `nodes is forbidden: User "ann" cannot list resource "nodes" in API group "" at the cluster scope` {
		t.Errorf("nodes: %v", err)
	}
	lost := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "lost"}, Subjects: []rbacv1.Subject{{Kind: "Group", Name: "dev"}},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "gone"},
	}
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(ctx, lost, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err == nil ||
		!strings.HasSuffix(err.Error(), `at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found`) {
		t.Errorf("with a binding to no role: %v", err)
	}
}

// TestEscalation has a user try to give what the user does not have.
func TestEscalation(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	admin := server.client(t, pki.AdminIdentity())
	bindRole(t, admin, "default", "admin", rbacv1.Subject{Kind: "User", Name: "ann"})
	ann := server.client(t, pki.AdminIdentity(), as("ann"))
	role := func(name, verb, resource string) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{resource}},
		}}
	}
	roles := ann.RbacV1().Roles("default")
	created, err := roles.Create(ctx, role("may", "get", "pods"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `roles.rbac.authorization.k8s.io "may-not" is forbidden: user "ann" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}`
	if _, err := roles.Create(ctx, role("may-not", "get", "nodes"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) || err.Error() != want {
		t.Errorf("create:\n%v", err)
	}
	created.Rules[0].Resources = []string{"nodes"}
	if _, err := roles.Update(ctx, created, metav1.UpdateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("update: %v", err)
	}
	bindings := ann.RbacV1().RoleBindings("default")
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "bob"}},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"},
	}
	if _, err := bindings.Create(ctx, binding, metav1.CreateOptions{}); !apierrors.IsForbidden(err) ||
		!strings.Contains(err.Error(), `{APIGroups:["*"], Resources:["*"], Verbs:["*"]}`) || !strings.Contains(err.Error(), `{NonResourceURLs:["*"], Verbs:["*"]}`) {
		t.Errorf("bind: %v", err)
	}
	binding.RoleRef.Name = "nothing"
	if _, err := bindings.Create(ctx, binding, metav1.CreateOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("bind to no role: %v", err)
	}
	binding.RoleRef.Name = "view"
	bound, err := bindings.Create(ctx, binding, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bound.RoleRef.Name = "edit"
	if _, err := bindings.Update(ctx, bound, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "cannot change roleRef") {
		t.Errorf("another role: %v", err)
	}
}

// TestServiceAccountTokens asks for tokens and uses them until they are none any more.
func TestServiceAccountTokens(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	admin := server.client(t, pki.AdminIdentity())
	accounts := admin.CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := accounts.CreateToken(ctx, "robot", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr(int64(60))}}, metav1.CreateOptions{}); !apierrors.IsInvalid(err) ||
		err.Error() != `TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes` {
		t.Errorf("a minute: %v", err)
	}
	if _, err := accounts.CreateToken(ctx, "nobody", &authenticationv1.TokenRequest{}, metav1.CreateOptions{}); !apierrors.IsNotFound(err) || err.Error() != `serviceaccounts "nobody" not found` {
		t.Errorf("no account: %v", err)
	}
	secret, err := admin.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "bound"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token := func(secret *corev1.Secret) string {
		t.Helper()
		request := &authenticationv1.TokenRequest{}
		if secret != nil {
			request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name, UID: secret.UID}
		}
		answer, err := accounts.CreateToken(ctx, "robot", request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Name != "robot" || answer.Spec.Audiences[0] != "https://kubernetes.default.svc.cluster.local" || time.Until(answer.Status.ExpirationTimestamp.Time) < 59*time.Minute {
			t.Errorf("answer: %+v", answer)
		}
		return answer.Status.Token
	}
	client := func(token string) *kubernetes.Clientset {
		return server.client(t, pki.AdminIdentity(), func(c *rest.Config) { c.CertData, c.KeyData, c.BearerToken = nil, nil, token })
	}
	free, tied := token(nil), token(secret)
	robot := client(free)
	review, err := robot.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if u := review.Status.UserInfo; u.Username != "system:serviceaccount:default:robot" || u.UID == "" ||
		!slices.Equal(u.Groups, []string{"system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"}) ||
		!strings.HasPrefix(strings.Join(u.Extra["authentication.kubernetes.io/credential-id"], ""), "JTI=") {
		t.Errorf("whoami: %+v", u)
	}
	bindRole(t, admin, "default", "view", rbacv1.Subject{Kind: "ServiceAccount", Name: "robot", Namespace: "default"})
	if _, err := robot.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("list: %v", err)
	}
	judge := func(token string, audiences ...string) authenticationv1.TokenReviewStatus {
		t.Helper()
		answer, err := admin.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	if s := judge(tied); !s.Authenticated || s.User.Username != "system:serviceaccount:default:robot" || s.Error != "" {
		t.Errorf("review: %+v", s)
	}
	if s := judge(tied, "vault"); s.Authenticated || s.Error == "" {
		t.Errorf("review for another audience: %+v", s)
	}
	if s := judge(tied[:len(tied)-4] + "AAAA"); s.Authenticated {
		t.Errorf("review of a forged token: %+v", s)
	}
	if err := admin.CoreV1().Secrets("default").Delete(ctx, "bound", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if s := judge(tied); s.Authenticated || s.Error != "[invalid bearer token, service account token has been invalidated]" {
		t.Errorf("review without the secret: %+v", s)
	}
	if err := accounts.Delete(ctx, "robot", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := robot.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("without the account: %v", err)
	}
}

// TestReviews asks what users may do.
func TestReviews(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	admin := server.client(t, pki.AdminIdentity())
	bindRole(t, admin, "default", "view", rbacv1.Subject{Kind: "User", Name: "ann"})
	reviews := admin.AuthorizationV1()
	ask := func(user, verb, resource string) authorizationv1.SubjectAccessReviewStatus {
		t.Helper()
		review, err := reviews.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "default", Verb: verb, Resource: resource},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return review.Status
	}
	if s := ask("ann", "list", "pods"); !s.Allowed || s.Reason != `RBAC: allowed by RoleBinding "view:ann/default" of ClusterRole "view" to User "ann"` {
		t.Errorf("list pods: %+v", s)
	}
	if s := ask("ann", "list", "secrets"); s.Allowed || s.Denied {
		t.Errorf("list secrets: %+v", s)
	}
	if _, err := reviews.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{}, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("nothing asked: %v", err)
	}
	// A review has no metadata, and so is no row of a table.
	whole := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/", Verb: "get"}}}
	for accept, want := range map[string]int{"application/json;as=Table;v=v1;g=meta.k8s.io": 406, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json": 201} {
		code := 0
		err := reviews.RESTClient().Post().Resource("selfsubjectaccessreviews").SetHeader("Accept", accept).Body(whole).Do(ctx).StatusCode(&code).Error()
		if code != want {
			t.Errorf("accepting %s: %d, %v", accept, code, err)
		}
	}
	local := &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "ann", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "default", Verb: "get", Resource: "pods", Subresource: "log"},
	}}
	if got, err := reviews.LocalSubjectAccessReviews("default").Create(ctx, local, metav1.CreateOptions{}); err != nil || !got.Status.Allowed {
		t.Errorf("local: %+v, %v", got, err)
	}
	ann := server.client(t, pki.AdminIdentity(), as("ann"))
	rules, err := ann.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{
		Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"},
	}, metav1.CreateOptions{})
	if err != nil || rules.Status.Incomplete || len(rules.Status.ResourceRules) < 10 || len(rules.Status.NonResourceRules) != 2 {
		t.Errorf("rules: %+v, %v", rules, err)
	}
	if _, err := ann.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{}, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a user asks about others: %v", err)
	}
}

// TestImpersonation acts in others' names.
func TestImpersonation(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	admin := server.client(t, pki.AdminIdentity())
	whoami := func(change func(*rest.Config)) (authenticationv1.UserInfo, error) {
		review, err := server.client(t, pki.AdminIdentity(), change).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			return authenticationv1.UserInfo{}, err
		}
		return review.Status.UserInfo, nil
	}
	full := func(c *rest.Config) {
		c.Impersonate = rest.ImpersonationConfig{UserName: "bob", UID: "7", Groups: []string{"dev"}, Extra: map[string][]string{"example.com/team": {"blue"}}}
	}
	if u, err := whoami(full); err != nil || u.Username != "bob" || u.UID != "7" || !slices.Equal(u.Groups, []string{"dev", "system:authenticated"}) || u.Extra["example.com/team"][0] != "blue" {
		t.Errorf("all of it: %+v, %v", u, err)
	}
	if u, err := whoami(as("system:serviceaccount:default:robot")); err != nil || !slices.Equal(u.Groups, []string{"system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"}) {
		t.Errorf("a service account: %+v, %v", u, err)
	}
	if u, err := whoami(as("")); err != nil || u.Username != "kubernetes-admin" || !slices.Contains(u.Groups, "system:authenticated") {
		t.Errorf("nobody else: %+v, %v", u, err)
	}
	pair := newKeyPair(t, server.authority, pki.Identity{User: "eve"})
	eve := func(c *rest.Config) {
		c.CertData, c.KeyData, c.Impersonate.UserName = pair.CertificatePEM(), pair.KeyPEM(), "ann"
	}
	if _, err := whoami(eve); !apierrors.IsForbidden(err) || err.Error() != `users "ann" is forbidden: User "eve" cannot impersonate resource "users" in API group "" at the cluster scope` {
		t.Errorf("without the right: %v", err)
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "be-ann"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"impersonate"}, APIGroups: []string{""}, Resources: []string{"users"}, ResourceNames: []string{"ann"}},
	}}
	if _, err := admin.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "be-ann"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "eve"}},
		RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "be-ann"}}
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if u, err := whoami(eve); err != nil || u.Username != "ann" {
		t.Errorf("with the right: %+v, %v", u, err)
	}
}

// TestPaths asks for what is no object, with and without credentials.
func TestPaths(t *testing.T) {
	server := startServer(t)
	pair := newKeyPair(t, server.authority, pki.Identity{User: "eve"})
	for _, test := range []struct {
		path string
		eve  bool
		want int
	}{
		{"/healthz", false, 200}, {"/livez", false, 200}, {"/readyz", false, 200}, {"/version", false, 200},
		{"/api", false, 200}, {"/apis", false, 200}, {"/api/v1", false, 200}, {"/apis/apps/v1", false, 200}, {"/openapi/v3", false, 200},
		{"/metrics", false, 403}, {"/", false, 403}, {"/api/v1/pods", false, 403}, {"/openid/v1/jwks", false, 403},
		{"/api/v1", true, 200}, {"/version", true, 200}, {"/metrics", true, 403}, {"/nothing", true, 403}, {"/.well-known/openid-configuration", true, 403},
	} {
		config := server.restConfig(t, pki.AdminIdentity())
		config.CertData, config.KeyData = nil, nil
		if test.eve {
			config.CertData, config.KeyData = pair.CertificatePEM(), pair.KeyPEM()
		}
		if got := statusOf(t, config, test.path); got != test.want {
			t.Errorf("%s (eve: %v): %d, want %d", test.path, test.eve, got, test.want)
		}
	}
	for path, want := range map[string]int{"/": 200, "/nothing": 404, "/openid/v1/jwks": 200, "/.well-known/openid-configuration": 200} {
		if got := statusOf(t, server.restConfig(t, pki.AdminIdentity()), path); got != want {
			t.Errorf("%s by an administrator: %d, want %d", path, got, want)
		}
	}
}

func statusOf(t *testing.T, config *rest.Config, path string) int {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode
}
