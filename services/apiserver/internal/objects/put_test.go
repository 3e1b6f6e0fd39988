package objects_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// An update makes an endpoints or a role where there is none, and no config map, nor
// what names a version or an object that was there once.
func TestPutMakes(t *testing.T) {
	s, _ := objectstest.New(t)
	endpoints := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}} //nolint:staticcheck // served all the same
	for want, begun := range []string{"made", "changed"} {
		stored, made, err := s.Put(admin, target(t, s, "Endpoints", "a"), endpoints, false)
		if err != nil || made != (want == 0) || stored.Revision == 0 {
			t.Errorf("%s: made %v, %v", begun, made, err)
		}
		endpoints.Labels = map[string]string{"a": "b"}
	}
	k, _ := s.Kinds().ByKind(rbacv1.SchemeGroupVersion.WithKind("ClusterRole"))
	to := target(t, s, "Endpoints", "r")
	to.Kind, to.Namespace = k, ""
	if _, made, err := s.Put(admin, to, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "r"}}, false); err != nil || !made {
		t.Errorf("role: made %v, %v", made, err)
	}
	old := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "b", ResourceVersion: "1"}} //nolint:staticcheck // as above
	if _, _, err := s.Put(admin, target(t, s, "Endpoints", "b"), old, false); !apierrors.IsNotFound(err) {
		t.Errorf("with a version: %v", err)
	}
	if _, _, err := s.Put(admin, target(t, s, "ConfigMap", "none"), configMap("none", nil), false); !apierrors.IsNotFound(err) {
		t.Errorf("config map: %v", err)
	}
}
