package roles_test

import (
	"context"
	"log/slog"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/roles"
)

func defaults(t *testing.T) map[string]registry.Object {
	t.Helper()
	all, err := roles.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]registry.Object{}
	for _, obj := range all {
		key := reflect.TypeOf(obj).Elem().Name() + " " + obj.GetNamespace() + "/" + obj.GetName()
		if out[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		out[key] = obj
	}
	return out
}

// Some of the roles as kubectl shows them on a cluster of Kubernetes.
func TestDefaults(t *testing.T) {
	all := defaults(t)
	for name, want := range map[string][]rbacv1.PolicyRule{
		"cluster-admin": {
			{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
			{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}},
		},
		"system:basic-user": {
			{Verbs: []string{"create"}, APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"selfsubjectaccessreviews", "selfsubjectrulesreviews"}},
			{Verbs: []string{"create"}, APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"selfsubjectreviews"}},
		},
		"system:node-problem-detector": {
			{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"nodes"}},
			{Verbs: []string{"patch"}, APIGroups: []string{""}, Resources: []string{"nodes/status"}},
			{Verbs: []string{"create", "patch", "update"}, APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}},
		},
		"system:public-info-viewer": {
			{Verbs: []string{"get"}, NonResourceURLs: []string{"/healthz", "/livez", "/readyz", "/version", "/version/"}},
		},
		"system:certificates.k8s.io:kubelet-serving-approver": {
			{Verbs: []string{"approve"}, APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"signers"}, ResourceNames: []string{"kubernetes.io/kubelet-serving"}},
		},
	} {
		role, ok := all["ClusterRole /"+name].(*rbacv1.ClusterRole)
		if !ok || !reflect.DeepEqual(role.Rules, want) {
			t.Errorf("%s: %+v", name, role)
		}
	}
	edit := all["ClusterRole /edit"].(*rbacv1.ClusterRole)
	if edit.Labels["rbac.authorization.k8s.io/aggregate-to-admin"] != "true" || edit.Labels["kubernetes.io/bootstrapping"] != "rbac-defaults" ||
		edit.Annotations["rbac.authorization.kubernetes.io/autoupdate"] != "true" ||
		edit.AggregationRule.ClusterRoleSelectors[0].MatchLabels["rbac.authorization.k8s.io/aggregate-to-edit"] != "true" {
		t.Errorf("edit: %+v", edit)
	}
	binding := all["ClusterRoleBinding /system:controller:job-controller"].(*rbacv1.ClusterRoleBinding)
	if want := (rbacv1.Subject{Kind: "ServiceAccount", Namespace: "kube-system", Name: "job-controller"}); binding.Subjects[0] != want {
		t.Errorf("subject of the job controller's binding: %+v", binding.Subjects)
	}
	if len(all["ClusterRoleBinding /system:node"].(*rbacv1.ClusterRoleBinding).Subjects) != 0 {
		t.Error("somebody is bound to system:node")
	}
}

func TestReconcile(t *testing.T) {
	all := defaults(t)
	wanted := all["ClusterRole /system:kube-dns"].(*rbacv1.ClusterRole)
	extra := rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}
	for _, test := range []struct {
		name    string
		change  func(*rbacv1.ClusterRole)
		changed bool
		rules   int
	}{
		{"as it should be", func(*rbacv1.ClusterRole) {}, false, 0},
		{"a rule more", func(r *rbacv1.ClusterRole) { r.Rules = append(r.Rules, extra) }, false, 0},
		{"other rules", func(r *rbacv1.ClusterRole) { r.Rules = []rbacv1.PolicyRule{extra} }, true, 5},
		{"a label less", func(r *rbacv1.ClusterRole) { r.Labels = nil }, true, 1},
		{"left alone", func(r *rbacv1.ClusterRole) {
			r.Rules, r.Annotations = nil, map[string]string{rbacv1.AutoUpdateAnnotationKey: "false"}
		}, false, 0},
	} {
		found := wanted.DeepCopy()
		test.change(found)
		got, changed := roles.Reconcile(found, wanted).(*rbacv1.ClusterRole)
		if changed != test.changed || changed && len(got.Rules) != test.rules {
			t.Errorf("%s: %v, %+v", test.name, changed, got)
		}
		if changed && roles.Reconcile(got, wanted) != nil {
			t.Errorf("%s: once was not enough", test.name)
		}
	}
}

func TestAggregateOfRolesThatAreFilledFromEachOther(t *testing.T) {
	role := func(name, from, verb string) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{name: "true"}},
			AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
				{MatchLabels: map[string]string{from: "true"}},
			}},
			Rules: []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{"pods"}}},
		}
	}
	all := []*rbacv1.ClusterRole{role("a", "b", "get"), role("b", "a", "list")}
	changed := roles.Aggregate(all)
	if len(changed) != 1 || changed[0].Name != "a" || changed[0].Rules[0].Verbs[0] != "list" {
		t.Errorf("%+v", changed)
	}
}

// The leader stores the defaults, fills roles as others change, and then is quiet.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, replica := objectstest.New(t)
		admin := objectstest.As(pki.AdminIdentity())
		kindOf := func(resource string) *registry.Kind {
			k, _ := s.Kinds().ByStoreResource(resource)
			return k
		}
		for _, name := range []string{"kube-system", "kube-public"} {
			ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
			if _, err := s.Create(admin, objects.Target{Kind: kindOf("namespaces")}, ns, false); err != nil {
				t.Fatal(err)
			}
		}
		clusterRole := kindOf("clusterroles.rbac.authorization.k8s.io")
		keeper, err := roles.New(roles.Config{Objects: s, Store: replica.Store(), Name: "s1", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := keeper.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		rulesOf := func(name string) []rbacv1.PolicyRule {
			t.Helper()
			o, err := s.Get(admin, objects.Target{Kind: clusterRole, Name: name}, "")
			if err != nil {
				t.Fatal(err)
			}
			role, err := o.Decode()
			if err != nil {
				t.Fatal(err)
			}
			return role.(*rbacv1.ClusterRole).Rules
		}
		view, edit, admins := len(rulesOf("view")), len(rulesOf("edit")), len(rulesOf("admin"))
		if view != 10 || edit != 13+view || admins != 2+edit {
			t.Errorf("view has %d rules, edit %d and admin %d", view, edit, admins)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- keeper.Run(ctx) }()
		more := &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "more", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
			Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{"example.com"}, Resources: []string{"things"}}},
		}
		synctest.Wait()
		if _, err := s.Create(admin, objects.Target{Kind: clusterRole}, more, false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := len(rulesOf("admin")); got != admins+1 {
			t.Errorf("admin has %d rules after one more, %d before", got, admins)
		}
		before := replica.Store().View().Revision()
		time.Sleep(time.Minute)
		if after := replica.Store().View().Revision(); after != before {
			t.Errorf("an idle minute raised the revision from %d to %d", before, after)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
