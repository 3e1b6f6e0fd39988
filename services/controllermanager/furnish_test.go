package controllermanager_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

func TestNamespaceIsFurnishedAndEmptied(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		w.node(1)
		// The finalizer stands for the server, which keeps a namespace until its
		// spec has none.
		create(w, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Finalizers: []string{"test/hold"}},
			Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}}})
		w.within(time.Second, "account and root certificate", func() bool {
			maps, accounts := list[*corev1.ConfigMap](w), list[*corev1.ServiceAccount](w)
			return len(maps) == 1 && maps[0].Name == "kube-root-ca.crt" && maps[0].Data["ca.crt"] == "a certificate" &&
				len(accounts) == 1 && accounts[0].Name == "default"
		})
		change(w, "kube-root-ca.crt", func(m *corev1.ConfigMap) { m.Data["ca.crt"] = "forged" })
		w.within(time.Second, "the certificate put right", func() bool {
			return get[*corev1.ConfigMap](w, "kube-root-ca.crt").Data["ca.crt"] == "a certificate"
		})

		create(w, web(3, "v1"))
		create(w, webService())
		w.within(5*time.Second, "three pods", w.rolledOut(3))
		if err := sdk.Delete[*corev1.Namespace](w.ctx, w.client, "", "default", sdk.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.within(10*time.Second, "the namespace let go", func() bool {
			ns, err := sdk.Get[*corev1.Namespace](w.ctx, w.client, "", "default")
			return apierrors.IsNotFound(err) || err == nil && !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes)
		})
		if n := len(list[*corev1.Pod](w)) + len(list[*corev1.ConfigMap](w)) + len(list[*corev1.ServiceAccount](w)); n != 0 {
			t.Errorf("%d objects are left", n)
		}
	})
}
