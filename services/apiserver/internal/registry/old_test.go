package registry_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// An update is prepared and refused by what Old decodes as by the whole object.
func TestOldIsEnough(t *testing.T) {
	k := kind(t, "configmaps")
	meta := metav1.ObjectMeta{Namespace: "default", Name: "a", UID: "u", Generation: 3, Labels: map[string]string{"l": "v"}}
	for _, stored := range []*bool{nil, ptr.To(false), ptr.To(true)} {
		for _, sent := range []*bool{nil, ptr.To(false), ptr.To(true)} {
			whole := &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"k": "old"}, BinaryData: map[string][]byte{"b": {8}}, Immutable: stored}
			value, err := whole.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			old, err := k.Old(value)
			if err != nil {
				t.Fatal(err)
			}
			obj := &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"k": "new"}, BinaryData: map[string][]byte{"b": {0}}, Immutable: sent}
			if got, want := updated(k, obj, old), updated(k, obj, whole); got != want {
				t.Errorf("immutable %v to %v:\n got %s\nwant %s", ptr.Deref(stored, false), ptr.Deref(sent, false), got, want)
			}
		}
	}
	if _, err := k.Old([]byte{0x22, 0x7f}); err == nil {
		t.Error("what is no config map is decoded")
	}
}

// updated returns what the kind's hooks make of a change, or say against it.
func updated(k *registry.Kind, obj, old registry.Object) string {
	obj = obj.DeepCopyObject().(registry.Object)
	k.PrepareUpdate(obj, old)
	var errs field.ErrorList
	errs = append(errs, k.ValidateMetaUpdate(obj, old)...)
	errs = append(errs, k.ValidateUpdate(obj, old)...)
	return fmt.Sprint(obj, errs)
}
