package lookup_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/sdktest"
	"github.com/musterhq/muster/services/controllermanager/internal/lookup"
)

func TestCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := sdktest.New(t).Client(t)
		caches := controller.NewCaches(controller.CachesConfig{Client: client})
		pods := lookup.Owners[*corev1.Pod](caches)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- caches.Run(ctx) }()
		defer func() { cancel(); <-done }()

		for _, p := range []struct{ namespace, name, owner string }{
			{"a", "owned", "web"}, {"a", "orphan", ""}, {"a", "another's", "db"}, {"b", "orphan elsewhere", ""},
		} {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.name}}
			if p.owner != "" {
				pod.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: p.owner, UID: types.UID("uid of " + p.owner), Controller: ptr.To(true)}}
			}
			if _, err := sdk.Create(t.Context(), client, pod); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		var got []string
		for _, p := range pods.Candidates(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", UID: "uid of web"}}) {
			got = append(got, p.Name)
		}
		slices.Sort(got)
		if want := []string{"orphan", "owned"}; !slices.Equal(got, want) {
			t.Errorf("candidates %q, want %q", got, want)
		}
	})
}
