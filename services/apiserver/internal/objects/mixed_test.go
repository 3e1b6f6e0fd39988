package objects_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// mixed makes the operations of transactions on ConfigMaps.
type mixed struct {
	t *testing.T
	s *objects.Service
}

func (m mixed) create(name string) objects.Change {
	return objects.Change{Target: target(m.t, m.s, "ConfigMap", ""), Create: configMap(name, nil)}
}

func (m mixed) patch(name, patch string) objects.Change {
	return objects.Change{Target: target(m.t, m.s, "ConfigMap", name),
		Patch: &objects.Patch{Type: types.MergePatchType, Data: []byte(patch), Validation: codec.Strict}}
}

func (m mixed) delete(name string) objects.Change {
	return objects.Change{Target: target(m.t, m.s, "ConfigMap", name), Delete: &metav1.DeleteOptions{}}
}

// What a transaction does to an object is seen by its operations behind it, and the
// object gets one revision for all of them.
func TestOperationsSeeThoseBeforeThem(t *testing.T) {
	s, _ := objectstest.New(t)
	m := mixed{t, s}
	create(t, s, "ConfigMap", configMap("there", map[string]string{"a": "0"}))
	outcomes, err := s.Transact(admin, []objects.Change{
		m.create("new"), m.patch("new", `{"data":{"a":"1"}}`), m.patch("new", `{"data":{"b":"2"}}`), m.patch("new", `{"data":{"b":"2"}}`),
		m.patch("there", `{"data":{"a":"1"}}`), m.patch("there", `{"metadata":{"labels":{"x":"y"}}}`),
		m.create("brief"), m.delete("brief"),
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	effects := []objects.Effect{objects.Created, objects.Updated, objects.Updated, objects.Unchanged, objects.Updated, objects.Updated, objects.Created, objects.Deleted}
	for i, want := range effects {
		if outcomes[i].Effect != want {
			t.Errorf("operation %d: effect %d, want %d", i, outcomes[i].Effect, want)
		}
	}
	for i, name := range []string{"new", "new", "new", "new", "there", "there"} {
		got, err := s.Get(admin, target(t, s, "ConfigMap", name), "")
		if err != nil || got.Revision != outcomes[i].Object.Revision || string(got.Value) != string(outcomes[i].Object.Value) {
			t.Errorf("operation %d: answered %d, stored %d, %v", i, outcomes[i].Object.Revision, got.Revision, err)
		}
	}
	if got := get(t, s, "new"); got.Data["a"] != "1" || got.Data["b"] != "2" {
		t.Errorf("created and patched: %v", got.Data)
	}
	if got := get(t, s, "there"); got.Data["a"] != "1" || got.Labels["x"] != "y" {
		t.Errorf("patched twice: %v %v", got.Data, got.Labels)
	}
	if _, err := s.Get(admin, target(t, s, "ConfigMap", "brief"), ""); !apierrors.IsNotFound(err) {
		t.Errorf("created and deleted: %v", err)
	}
}

func get(t *testing.T, s *objects.Service, name string) *corev1.ConfigMap {
	t.Helper()
	o, err := s.Get(admin, target(t, s, "ConfigMap", name), "")
	if err != nil {
		t.Fatal(err)
	}
	return decode[*corev1.ConfigMap](t, o)
}

// Operations are refused as they would be after those before them had been done.
func TestOperationsAreRefusedByThoseBeforeThem(t *testing.T) {
	s, replica := objectstest.New(t)
	m := mixed{t, s}
	create(t, s, "ConfigMap", configMap("there", nil))
	before := replica.Store().View().Revision()
	for name, test := range map[string]struct {
		changes []objects.Change
		at      int
		is      func(error) bool
	}{
		"created twice":             {[]objects.Change{m.create("a"), m.create("a")}, 1, apierrors.IsAlreadyExists},
		"patched after it was gone": {[]objects.Change{m.create("a"), m.delete("there"), m.patch("there", `{}`)}, 2, apierrors.IsNotFound},
		"deleted twice":             {[]objects.Change{m.delete("there"), m.delete("there")}, 1, apierrors.IsNotFound},
		"made anew":                 {[]objects.Change{m.delete("there"), m.create("there")}, 1, apierrors.IsBadRequest},
	} {
		_, err := s.Transact(admin, test.changes, false)
		var refused *objects.OperationError
		if !test.is(err) || !errors.As(err, &refused) || refused.Index != test.at || !strings.HasPrefix(err.Error(), "operation ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := replica.Store().View().Revision(); after != before {
		t.Errorf("revision went from %d to %d", before, after)
	}
}

// An address that one operation gives up may be taken by the next.
func TestClaimsPassWithinATransaction(t *testing.T) {
	s, _ := objectstest.New(t)
	service := func(name string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
			Spec: corev1.ServiceSpec{ClusterIP: "10.96.1.1", Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	create(t, s, "Service", service("a"))
	_, err := s.Transact(admin, []objects.Change{
		{Target: target(t, s, "Service", "a"), Delete: &metav1.DeleteOptions{}},
		{Target: target(t, s, "Service", ""), Create: service("b")},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(admin, target(t, s, "Service", ""), service("c"), false); !apierrors.IsInvalid(err) {
		t.Errorf("the address is free though b has it: %v", err)
	}
}

// A namespace and what is in it may come together.
func TestANamespaceAndItsObjectsComeTogether(t *testing.T) {
	s, _ := objectstest.New(t)
	inside := configMap("inside", nil)
	inside.Namespace = "fresh"
	changes := []objects.Change{
		{Target: target(t, s, "Namespace", ""), Create: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fresh"}}},
		{Target: objects.Target{Kind: target(t, s, "ConfigMap", "").Kind, Namespace: "fresh"}, Create: inside},
	}
	for _, dryRun := range []bool{true, false} {
		if _, err := s.Transact(admin, changes, dryRun); err != nil {
			t.Errorf("dry run %v: %v", dryRun, err)
		}
	}
	if _, err := s.Transact(admin, changes, true); !apierrors.IsAlreadyExists(err) {
		t.Errorf("again: %v", err)
	}
}
