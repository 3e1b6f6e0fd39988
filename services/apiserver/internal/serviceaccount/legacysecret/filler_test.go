package legacysecret_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/serviceaccount"
	"github.com/musterhq/muster/services/apiserver/internal/serviceaccount/legacysecret"
)

func TestFiller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, replica := objectstest.New(t)
		key, err := pki.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := serviceaccount.ParseKeys(key)
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := serviceaccount.New(serviceaccount.Config{Replica: replica, Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		filler, err := legacysecret.New(legacysecret.Config{
			Objects: s, Store: replica.Store(), Tokens: tokens, RootCA: []byte("ca"), Name: "s1", Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- filler.Run(ctx) }()
		synctest.Wait()

		admin := objectstest.As(pki.AdminIdentity())
		target := func(resource, name string) objects.Target {
			k, _ := s.Kinds().ByStoreResource(resource)
			return objects.Target{Kind: k, Namespace: "default", Name: name}
		}
		create := func(resource string, obj registry.Object) {
			t.Helper()
			if _, err := s.Create(admin, target(resource, ""), obj, false); err != nil {
				t.Fatal(err)
			}
		}
		secret := func(name, account string) *corev1.Secret {
			return &corev1.Secret{Type: corev1.SecretTypeServiceAccountToken, ObjectMeta: metav1.ObjectMeta{
				Name: name, Annotations: map[string]string{corev1.ServiceAccountNameKey: account}}}
		}
		create("serviceaccounts", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}})
		create("secrets", secret("robots", "robot"))
		create("secrets", secret("nobodys", "nobody"))
		time.Sleep(time.Second)

		stored, err := s.Get(admin, target("secrets", "robots"), "")
		if err != nil {
			t.Fatal(err)
		}
		obj, err := stored.Decode()
		if err != nil {
			t.Fatal(err)
		}
		got := obj.(*corev1.Secret)
		user, _, err := tokens.Verify(ctx, string(got.Data["token"]), tokens.Audiences())
		if err != nil || user.Name != "system:serviceaccount:default:robot" || string(got.Data["ca.crt"]) != "ca" || string(got.Data["namespace"]) != "default" ||
			got.Annotations[corev1.ServiceAccountUIDKey] != user.UID {
			t.Errorf("%+v, %v: %v", user, err, got.Annotations)
		}
		if _, err := s.Get(admin, target("secrets", "nobodys"), ""); err == nil {
			t.Error("the secret of no account is there")
		}
		before := replica.Store().View().Revision()
		time.Sleep(time.Minute)
		if after := replica.Store().View().Revision(); after != before {
			t.Errorf("an idle minute raised the revision from %d to %d", before, after)
		}
		if _, err := s.Delete(admin, target("serviceaccounts", "robot"), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := s.Get(admin, target("secrets", "robots"), ""); err == nil {
			t.Error("the secret of a deleted account is there")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
