package objects_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// What is compared with an update is decoded only as far as that is needed: an
// immutable config map is, all of it.
func TestImmutableConfigMap(t *testing.T) {
	s, _ := objectstest.New(t)
	to := target(t, s, "ConfigMap", "a")
	stored := create(t, s, "ConfigMap", configMap("a", map[string]string{"n": "0"}))
	uid := decode[*corev1.ConfigMap](t, stored).UID
	update := func(n string, immutable *bool) (*corev1.ConfigMap, error) {
		obj := configMap("a", map[string]string{"n": n})
		obj.Immutable = immutable
		stored, err := s.Update(admin, to, obj, false)
		if err != nil {
			return nil, err
		}
		return decode[*corev1.ConfigMap](t, stored), nil
	}
	if got, err := update("1", ptr(true)); err != nil || got.Data["n"] != "1" || got.UID != uid || got.CreationTimestamp.IsZero() {
		t.Errorf("update of one that is not immutable: %+v, %v", got, err)
	}
	if _, err := update("2", ptr(true)); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "data: Forbidden") {
		t.Errorf("update of an immutable one: %v", err)
	}
	if _, err := update("1", nil); !apierrors.IsInvalid(err) {
		t.Errorf("update that makes it mutable again: %v", err)
	}
}
