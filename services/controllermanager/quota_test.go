package controllermanager_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

// The server of this world counts nothing itself, so all that is counted the
// controller did: when the quota comes, when it is changed, and every five minutes.
func TestQuotaIsCounted(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		for _, name := range []string{"a", "b"} {
			create(w, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
		}
		create(w, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "q"}, Spec: corev1.ResourceQuotaSpec{
			Hard: corev1.ResourceList{"secrets": resource.MustParse("5")}}})
		used := func(name corev1.ResourceName, want string) func() bool {
			return func() bool {
				q := get[*corev1.ResourceQuota](w, "q")
				got, ok := q.Status.Used[name]
				hard := q.Status.Hard[name]
				return ok && got.String() == want && hard.String() == "5"
			}
		}
		w.within(time.Second, "two secrets counted", used("secrets", "2"))
		change(w, "q", func(q *corev1.ResourceQuota) { q.Spec.Hard["count/secrets"] = resource.MustParse("5") })
		w.within(time.Second, "two secrets counted by the other name", used("count/secrets", "2"))
		if err := sdk.Delete[*corev1.Secret](w.ctx, w.client, "default", "a", sdk.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.within(6*time.Minute, "one secret counted", used("secrets", "1"))
	})
}
