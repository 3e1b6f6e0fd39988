package catalog_test

import (
	"testing"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, resource, manifest string
		want                     time.Duration // from now; 0 is never
	}{
		{"event", "events", `{}`, time.Hour},
		{"lease that is held", "leases.coordination.k8s.io",
			`{spec: {holderIdentity: a, renewTime: "2026-01-01T12:00:02.000000Z", leaseDurationSeconds: 15}}`, 24*time.Hour + 17*time.Second},
		{"lease of a holder whose clock is late", "leases.coordination.k8s.io",
			`{spec: {holderIdentity: a, renewTime: "2001-01-01T12:00:00.000000Z", leaseDurationSeconds: 15}}`, 24*time.Hour + 15*time.Second},
		{"lease that was given up", "leases.coordination.k8s.io",
			`{spec: {holderIdentity: "", renewTime: "2026-01-01T12:00:00.000000Z", leaseDurationSeconds: 1}}`, 0},
		{"lease without a duration", "leases.coordination.k8s.io", `{spec: {holderIdentity: a, renewTime: "2026-01-01T12:00:00.000000Z"}}`, 0},
		{"lease that was never renewed", "leases.coordination.k8s.io", `{spec: {holderIdentity: a, leaseDurationSeconds: 15}}`, 0},
		{"lease with an owner", "leases.coordination.k8s.io",
			`{metadata: {ownerReferences: [{apiVersion: v1, kind: Node, name: n, uid: u}]},
			  spec: {holderIdentity: n, renewTime: "2026-01-01T12:00:00.000000Z", leaseDurationSeconds: 15}}`, 0},
	} {
		k := kindtest.Kind(t, test.resource)
		var got time.Duration
		if at := k.Expires(kindtest.Decode(t, k, test.manifest), now); !at.IsZero() {
			got = at.Sub(now)
		}
		if got != test.want {
			t.Errorf("%s: expires after %s, want %s", test.name, got, test.want)
		}
	}
}

// The store removes what expired without a look at it: nobody would let go of
// its claims, and nobody could wait for its end.
func TestOnlyPlainKindsExpire(t *testing.T) {
	for _, k := range catalog.All(registry.Options{}) {
		if k.Expires != nil && (k.Claims != nil || k.GracePeriod != nil || k.Held != nil || len(k.Finalizers) > 0) {
			t.Errorf("%s expires, though something is to be done before it goes", k.Resource)
		}
	}
}
