package bootstrap_test

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/bootstrap"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

func get[T registry.Object](t *testing.T, s *objects.Service, gvk schema.GroupVersionKind, namespace, name string) (T, objects.Stored) {
	t.Helper()
	k, _ := s.Kinds().ByKind(gvk)
	stored, err := s.Get(objectstest.As(pki.AdminIdentity()), objects.Target{Kind: k, Namespace: namespace, Name: name}, "")
	if err != nil {
		t.Fatal(err)
	}
	obj, err := stored.Decode()
	if err != nil {
		t.Fatal(err)
	}
	return obj.(T), stored
}

// The objects are there, follow the servers' addresses, and cost nothing when
// nothing changes.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, replica := objectstest.New(t)
		var leading atomic.Bool
		leading.Store(true)
		var addresses atomic.Value
		addresses.Store([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443")})
		keeper, err := bootstrap.New(bootstrap.Config{
			Objects: s, Name: "s1", ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"), Logger: slog.New(slog.DiscardHandler),
			Addresses: func() []netip.AddrPort { return addresses.Load().([]netip.AddrPort) },
			Leading:   leading.Load,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- keeper.Run(ctx) }()
		<-keeper.Done()
		service := corev1.SchemeGroupVersion.WithKind("Service")
		if api, _ := get[*corev1.Service](t, s, service, "default", "kubernetes"); api.Spec.ClusterIP != "10.96.0.1" {
			t.Errorf("kubernetes at %s", api.Spec.ClusterIP)
		}
		if dns, _ := get[*corev1.Service](t, s, service, "kube-system", "kube-dns"); dns.Spec.ClusterIP != "10.96.0.10" {
			t.Errorf("kube-dns at %s", dns.Spec.ClusterIP)
		}
		cidr, _ := get[*networkingv1.ServiceCIDR](t, s, networkingv1.SchemeGroupVersion.WithKind("ServiceCIDR"), "", "kubernetes")
		if !slices.Equal(cidr.Spec.CIDRs, []string{"10.96.0.0/12"}) || !meta.IsStatusConditionTrue(cidr.Status.Conditions, "Ready") {
			t.Errorf("ServiceCIDR %+v", cidr)
		}
		class, _ := get[*schedulingv1.PriorityClass](t, s, schedulingv1.SchemeGroupVersion.WithKind("PriorityClass"), "", "system-node-critical")
		if class.Value != 2000001000 || *class.PreemptionPolicy != corev1.PreemptLowerPriority {
			t.Errorf("PriorityClass %+v", class)
		}
		before := replica.Store().View().Revision()
		time.Sleep(time.Minute)
		if after := replica.Store().View().Revision(); after != before {
			t.Errorf("an idle minute raised the revision from %d to %d", before, after)
		}
		addresses.Store([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.3:6443"), netip.MustParseAddrPort("192.0.2.2:6443")})
		time.Sleep(time.Minute)
		slice, _ := get[*discoveryv1.EndpointSlice](t, s, discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), "default", "kubernetes")
		if len(slice.Endpoints) != 2 || slice.Endpoints[0].Addresses[0] != "192.0.2.2" || *slice.Ports[0].Port != 6443 {
			t.Errorf("slice: %+v", slice)
		}
		endpoints, _ := get[*corev1.Endpoints](t, s, corev1.SchemeGroupVersion.WithKind("Endpoints"), "default", "kubernetes")
		if len(endpoints.Subsets) != 1 || len(endpoints.Subsets[0].Addresses) != 2 {
			t.Errorf("endpoints: %+v", endpoints)
		}
		leading.Store(false)
		before = replica.Store().View().Revision()
		addresses.Store([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:6443")})
		time.Sleep(time.Minute)
		if after := replica.Store().View().Revision(); after != before {
			t.Error("a server that does not lead wrote what it knows of the others")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
