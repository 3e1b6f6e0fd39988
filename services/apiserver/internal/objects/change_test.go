package objects_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

var admin = objectstest.As(pki.AdminIdentity())

func target(t testing.TB, s *objects.Service, kind, name string) objects.Target {
	t.Helper()
	k, ok := s.Kinds().ByShortName(strings.ToLower(kind))
	if !ok {
		t.Fatalf("no kind %s", kind)
	}
	out := objects.Target{Kind: k, Name: name}
	if k.Namespaced {
		out.Namespace = "default"
	}
	return out
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Data: data}
}

func create(t testing.TB, s *objects.Service, kind string, obj registry.Object) objects.Stored {
	t.Helper()
	to := target(t, s, kind, "")
	stored, err := s.Create(admin, to, obj, false)
	if err != nil {
		t.Fatalf("create %s %s: %v", kind, obj.GetName(), err)
	}
	return stored
}

func decode[T registry.Object](t *testing.T, o objects.Stored) T {
	t.Helper()
	obj, err := o.Decode()
	if err != nil {
		t.Fatal(err)
	}
	return obj.(T)
}

// A change that loses the race is planned anew, and refused only for what holds
// when it is.
func TestLostRace(t *testing.T) {
	s, replica := objectstest.New(t)
	create(t, s, "ConfigMap", configMap("a", map[string]string{"n": "0"}))
	to := target(t, s, "ConfigMap", "a")
	patch := func(key string) objects.Patch {
		return objects.Patch{Type: types.MergePatchType, Data: []byte(`{"data":{"` + key + `":"1"}}`), Validation: codec.Strict}
	}
	replica.BeforeApply = func() {
		if _, err := s.Patch(admin, to, patch("rival"), false); err != nil {
			t.Error(err)
		}
	}
	stored, err := s.Patch(admin, to, patch("mine"), false)
	if err != nil {
		t.Fatal(err)
	}
	if data := decode[*corev1.ConfigMap](t, stored).Data; data["mine"] != "1" || data["rival"] != "1" {
		t.Errorf("after both patches: %v", data)
	}
	replica.BeforeApply = func() { create(t, s, "ConfigMap", configMap("b", nil)) }
	if _, err := s.Create(admin, target(t, s, "ConfigMap", ""), configMap("b", nil), false); !apierrors.IsAlreadyExists(err) {
		t.Errorf("create that lost: %v", err)
	}
}

func TestConditionalPatchConflicts(t *testing.T) {
	s, _ := objectstest.New(t)
	old := create(t, s, "ConfigMap", configMap("a", nil))
	to := target(t, s, "ConfigMap", "a")
	data := `{"metadata":{"resourceVersion":"` + old.ResourceVersion() + `"},"data":{"x":"y"}}`
	patch := objects.Patch{Type: types.MergePatchType, Data: []byte(data), Validation: codec.Strict}
	if _, err := s.Patch(admin, to, patch, false); err != nil {
		t.Fatalf("first: %v", err)
	}
	if _, err := s.Patch(admin, to, patch, false); !apierrors.IsConflict(err) {
		t.Errorf("second: %v", err)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	s, replica := objectstest.New(t)
	before := replica.Store().View().Revision()
	stored, err := s.Create(admin, target(t, s, "ConfigMap", ""), configMap("a", nil), true)
	if err != nil || stored.ResourceVersion() != "" {
		t.Errorf("dry run: version %q, %v", stored.ResourceVersion(), err)
	}
	if after := replica.Store().View().Revision(); after != before {
		t.Errorf("revision went from %d to %d", before, after)
	}
}

func TestNamespaceGuardsCreation(t *testing.T) {
	s, _ := objectstest.New(t)
	orphan := configMap("a", nil)
	orphan.Namespace = "nowhere"
	to := target(t, s, "ConfigMap", "")
	to.Namespace = "nowhere"
	if _, err := s.Create(admin, to, orphan, false); !apierrors.IsNotFound(err) || err.Error() != `namespaces "nowhere" not found` {
		t.Errorf("no namespace: %v", err)
	}
	create(t, s, "Namespace", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "nowhere"}})
	if _, err := s.Delete(admin, target(t, s, "Namespace", "nowhere"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Create(admin, to, orphan, false)
	if want := "unable to create new content in namespace nowhere because it is being terminated"; !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("terminating namespace: %v", err)
	}
	if _, err := s.Delete(admin, target(t, s, "Namespace", "default"), metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("delete default: %v", err)
	}
}

func TestFinalizersHoldDeletion(t *testing.T) {
	for _, test := range []struct {
		policy metav1.DeletionPropagation
		holds  string
	}{
		{metav1.DeletePropagationBackground, ""},
		{metav1.DeletePropagationForeground, metav1.FinalizerDeleteDependents},
		{metav1.DeletePropagationOrphan, metav1.FinalizerOrphanDependents},
	} {
		t.Run(string(test.policy), func(t *testing.T) {
			s, _ := objectstest.New(t)
			create(t, s, "ConfigMap", configMap("a", nil))
			to := target(t, s, "ConfigMap", "a")
			outcome, err := s.Delete(admin, to, metav1.DeleteOptions{PropagationPolicy: &test.policy})
			if err != nil || outcome.Gone != (test.holds == "") {
				t.Fatalf("gone %v, %v", outcome.Gone, err)
			}
			if test.holds == "" {
				return
			}
			obj := decode[*corev1.ConfigMap](t, outcome.Object)
			if obj.DeletionTimestamp == nil || len(obj.Finalizers) != 1 || obj.Finalizers[0] != test.holds {
				t.Errorf("while it is held: %+v", obj.ObjectMeta)
			}
			obj.Finalizers = nil
			if _, err := s.Update(admin, to, obj, false); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(admin, to, ""); !apierrors.IsNotFound(err) {
				t.Errorf("after the last finalizer: %v", err)
			}
		})
	}
}

func TestDeletePreconditions(t *testing.T) {
	s, _ := objectstest.New(t)
	create(t, s, "ConfigMap", configMap("a", nil))
	for _, pre := range []metav1.Preconditions{{UID: ptr(types.UID("other"))}, {ResourceVersion: ptr("1")}} {
		_, err := s.Delete(admin, target(t, s, "ConfigMap", "a"), metav1.DeleteOptions{Preconditions: &pre})
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "in the precondition (") {
			t.Errorf("%+v: %v", pre, err)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// A transaction does all or nothing and says what refused.
func TestTransact(t *testing.T) {
	s, replica := objectstest.New(t)
	create(t, s, "ConfigMap", configMap("taken", nil))
	before := replica.Store().View().Revision()
	change := func(name string) objects.Change {
		return objects.Change{Target: target(t, s, "ConfigMap", ""), Create: configMap(name, nil)}
	}
	_, err := s.Transact(admin, []objects.Change{change("a"), change("taken")}, false)
	if !apierrors.IsAlreadyExists(err) || !strings.HasPrefix(err.Error(), "operation 1: ") {
		t.Errorf("error: %v", err)
	}
	if after := replica.Store().View().Revision(); after != before {
		t.Errorf("revision went from %d to %d", before, after)
	}
	outcomes, err := s.Transact(admin, []objects.Change{change("a"), change("b"),
		{Target: target(t, s, "ConfigMap", "taken"), Delete: &metav1.DeleteOptions{}}}, false)
	if err != nil || len(outcomes) != 3 || !outcomes[2].Gone || outcomes[0].Object.Revision == outcomes[1].Object.Revision {
		t.Fatalf("outcomes: %+v, %v", outcomes, err)
	}
	for _, o := range outcomes[:2] {
		meta, err := o.Object.Meta()
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(admin, target(t, s, "ConfigMap", meta.Name), "")
		if err != nil || got.Revision != o.Object.Revision {
			t.Errorf("%s: revision %d, answered %d, %v", meta.Name, got.Revision, o.Object.Revision, err)
		}
	}
}

// Claims follow the object that holds them.
func TestClaims(t *testing.T) {
	s, _ := objectstest.New(t)
	service := func(name, ip string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: corev1.ServiceSpec{
			ClusterIP: ip, Ports: []corev1.ServicePort{{Port: 80}},
		}}
	}
	create(t, s, "Service", service("a", "10.96.1.1"))
	_, err := s.Create(admin, target(t, s, "Service", ""), service("b", "10.96.1.1"), false)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "provided IP is already allocated") {
		t.Errorf("taken address: %v", err)
	}
	if _, err := s.Delete(admin, target(t, s, "Service", "a"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	create(t, s, "Service", service("b", "10.96.1.1"))
	seen := map[string]bool{}
	for _, name := range []string{"c", "d", "e"} {
		ip := decode[*corev1.Service](t, create(t, s, "Service", service(name, ""))).Spec.ClusterIP
		if ip == "" || seen[ip] {
			t.Errorf("%s got %q", name, ip)
		}
		seen[ip] = true
	}
}

func TestErrorsAreAPIErrors(t *testing.T) {
	s, _ := objectstest.New(t)
	_, err := s.Create(admin, target(t, s, "ConfigMap", ""), configMap("Not_A_Name", nil), false)
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code != 422 || len(status.Status().Details.Causes) == 0 {
		t.Errorf("bad name: %v", err)
	}
}
