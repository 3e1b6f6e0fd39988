package objects_test

import (
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// What the store knows of when an object expires is what the object says now.
func TestExpiryFollowsTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, replica := objectstest.New(t)
		renewed := metav1.NewMicroTime(time.Now())
		create(t, s, "Lease", &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "l"},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr("a"), RenewTime: &renewed, LeaseDurationSeconds: ptr(int32(15))}})
		expires := func() time.Duration {
			e, ok := replica.Store().View().Get(state.Key{Resource: "leases.coordination.k8s.io", Namespace: "default", Name: "l"})
			if !ok {
				t.Fatal("the lease is gone")
			}
			if e.Expires == 0 {
				return 0
			}
			return time.Unix(e.Expires, 0).Sub(renewed.Time)
		}
		const kept = 24*time.Hour + 15*time.Second
		if got := expires(); got != kept {
			t.Fatalf("expires after %s, want %s", got, kept)
		}
		for _, change := range []struct {
			patch string
			want  time.Duration
		}{
			{`{"metadata":{"finalizers":["example.com/wait"]}}`, 0},
			{`{"metadata":{"finalizers":null}}`, kept + time.Second}, // half a second later, rounded up
			{`{"spec":{"holderIdentity":""}}`, 0},
		} {
			time.Sleep(250 * time.Millisecond)
			if _, err := s.Patch(admin, target(t, s, "Lease", "l"),
				objects.Patch{Type: types.MergePatchType, Validation: codec.Strict, Data: []byte(change.patch)}, false); err != nil {
				t.Fatal(err)
			}
			if got := expires(); got != change.want {
				t.Errorf("after %s: expires after %s, want %s", change.patch, got, change.want)
			}
		}
	})
}
