package objects_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// What would be too large only because of who set which of its fields is stored without
// telling so, unless it is applied, as Kubernetes does
// (endpoints/handlers: isTooLargeError).
func TestManagedFieldsThatAreTooLarge(t *testing.T) {
	s, _ := objectstest.New(t)
	const keys = 1900 // nearly half a megabyte
	large := configMap("a", keysOf("x", keys))
	large.APIVersion, large.Kind = "v1", "ConfigMap"
	manifest, err := json.Marshal(large)
	if err != nil {
		t.Fatal(err)
	}
	on := target(t, s, "ConfigMap", "a")
	for i := 0; err == nil; i++ {
		if i > 20 {
			t.Fatal("nothing is too large")
		}
		ctx := objects.WithManager(objectstest.As(pki.AdminIdentity()), fmt.Sprint("manager-", i))
		_, err = s.Patch(ctx, on, objects.Patch{Type: apply, Data: manifest, Force: true}, false)
	}
	if !apierrors.IsRequestEntityTooLargeError(err) {
		t.Fatal(err)
	}
	before := metaOf(t, s, on)
	if len(before.GetManagedFields()) < 5 {
		t.Fatalf("%d managers", len(before.GetManagedFields()))
	}
	more, err := json.Marshal(configMap("a", keysOf("y", keys)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Patch(objectstest.As(pki.AdminIdentity()), on, objects.Patch{Type: merge, Data: more}, false); err != nil {
		t.Fatal(err)
	}
	after := metaOf(t, s, on)
	if len(after.GetManagedFields()) != 0 || after.GetResourceVersion() == before.GetResourceVersion() {
		t.Errorf("%d managers at revision %s", len(after.GetManagedFields()), after.GetResourceVersion())
	}
}

// keysOf are so many long keys.
func keysOf(letter string, keys int) map[string]string {
	data := make(map[string]string, keys)
	for i := range keys {
		data[fmt.Sprintf("%s%d", strings.Repeat(letter, 245), i)] = ""
	}
	return data
}

// metaOf returns the metadata of an object as it is stored.
func metaOf(t *testing.T, s *objects.Service, on objects.Target) *metav1.ObjectMeta {
	t.Helper()
	stored, err := s.Get(objectstest.As(pki.AdminIdentity()), on, "")
	if err != nil {
		t.Fatal(err)
	}
	meta, err := stored.Meta()
	if err != nil {
		t.Fatal(err)
	}
	meta.ResourceVersion = stored.ResourceVersion()
	return meta
}
