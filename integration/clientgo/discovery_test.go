package clientgo_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/disk"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"

	"github.com/musterhq/muster/integration/loopback"
	"github.com/musterhq/muster/internal/pki"
)

// TestDiscovery has the aggregated form say what the old one does, and the caches
// whatever the server said.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	config := loopback.Start(t).Config(pki.AdminIdentity())
	var asked atomic.Int32
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			return next.RoundTrip(r)
		})
	})
	aggregated := discovery.NewDiscoveryClientForConfigOrDie(config)
	want := resourcesOf(t, aggregated)
	if n := asked.Load(); n != 2 {
		t.Errorf("aggregated discovery took %d requests, /api and /apis would do", n)
	}
	old := discovery.NewDiscoveryClientForConfigOrDie(config)
	old.UseLegacyDiscovery = true
	onDisk, err := disk.NewCachedDiscoveryClientForConfig(config, t.TempDir(), t.TempDir(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	inMemory := memory.NewMemCacheClient(aggregated)
	for name, client := range map[string]discovery.DiscoveryInterface{"old": old, "on disk": onDisk, "in memory": inMemory} {
		if got := resourcesOf(t, client); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	asked.Store(0)
	resourcesOf(t, onDisk)
	resourcesOf(t, inMemory)
	if n := asked.Load(); n != 0 || !inMemory.Fresh() || !onDisk.Fresh() {
		t.Errorf("cached, and asked for %d times", n)
	}
	preferred, err := aggregated.ServerPreferredResources()
	if err != nil || !slices.ContainsFunc(preferred, func(l *metav1.APIResourceList) bool { return l.GroupVersion == "autoscaling/v2" }) {
		t.Errorf("preferred: %v", err)
	}
	version, err := aggregated.ServerVersion()
	if err != nil || version.Major != "1" || !strings.HasPrefix(version.GitVersion, "v1.") {
		t.Errorf("version %v, %v", version, err)
	}
}

// resourcesOf is a line for each resource and subresource, sorted.
func resourcesOf(t *testing.T, client discovery.DiscoveryInterface) []string {
	t.Helper()
	_, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, list := range lists {
		for _, r := range list.APIResources {
			if strings.Contains(r.Name, "/") {
				r.SingularName = "" // client-go gives subresources the resource's, where it reads the aggregated form.
			}
			verbs := slices.Sorted(slices.Values([]string(r.Verbs)))
			out = append(out, strings.Join([]string{list.GroupVersion, r.Name, r.SingularName, r.Kind, strings.Join(r.ShortNames, "+"), strings.Join(r.Categories, "+"), strings.Join(verbs, "+")}, " "))
		}
	}
	slices.Sort(out)
	return out
}

// TestMapper resolves what people type as kubectl does.
func TestMapper(t *testing.T) {
	t.Parallel()
	clients := kubernetes.NewForConfigOrDie(loopback.Start(t).Config(pki.AdminIdentity()))
	cached := memory.NewMemCacheClient(clients.Discovery())
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)
	for typed, want := range map[string]string{
		"po": "pods", "pod": "pods", "svc": "services", "deploy": "deployments.v1.apps", "hpa": "horizontalpodautoscalers.v2.autoscaling",
		"ing": "ingresses.v1.networking.k8s.io", "events": "events", "ep": "endpoints", "sc": "storageclasses.v1.storage.k8s.io", "pdb": "poddisruptionbudgets.v1.policy",
		"leases": "leases.v1.coordination.k8s.io", "csr": "certificatesigningrequests.v1.certificates.k8s.io", "netpol": "networkpolicies.v1.networking.k8s.io",
	} {
		got, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: typed})
		name := got.Resource
		if got.Group != "" {
			name += "." + got.Version + "." + got.Group
		}
		if err != nil || name != want {
			t.Errorf("%s is %s, %v; want %s", typed, name, err, want)
		}
	}
	if kinds, err := restmapper.GetAPIGroupResources(clients.Discovery()); err != nil || len(kinds) < 15 {
		t.Errorf("%d groups, %v", len(kinds), err)
	}
}

// TestScale scales whatever can be scaled by the one client for that.
func TestScale(t *testing.T) {
	t.Parallel()
	config := loopback.Start(t).Config(pki.AdminIdentity())
	clients, untyped := kubernetes.NewForConfigOrDie(config), dynamic.NewForConfigOrDie(config)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(clients.Discovery()))
	scales, err := scale.NewForConfig(config, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(clients.Discovery()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	samples := samples(t)
	for _, r := range served(t, clients) {
		if _, ok := r.subresources["scale"]; !ok {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			obj := prepared(ctx, t, clients, samples[r.gvk], true)
			client, _ := typedClient(clients, r, obj.GetNamespace())
			if _, err := client.write(ctx, "Create", obj, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			api := scales.Scales(obj.GetNamespace())
			now, err := api.Get(ctx, r.gvr.GroupResource(), obj.GetName(), metav1.GetOptions{})
			if err != nil || now.Spec.Replicas != 2 || now.Status.Selector != "app=sample" || now.UID == "" {
				t.Fatalf("%+v, %v", now, err)
			}
			stale := now.DeepCopy()
			now.Spec.Replicas = 5
			now, err = api.Update(ctx, r.gvr.GroupResource(), now, metav1.UpdateOptions{})
			if err != nil || now.Spec.Replicas != 5 {
				t.Errorf("updated: %+v, %v", now, err)
			}
			stale.Spec.Replicas = 7
			if _, err := api.Update(ctx, r.gvr.GroupResource(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				t.Errorf("stale update: %v", err)
			}
			now, err = api.Patch(ctx, r.gvr, obj.GetName(), types.MergePatchType, []byte(`{"spec": {"replicas": 3}}`), metav1.PatchOptions{})
			if err != nil || now.Spec.Replicas != 3 {
				t.Errorf("patched: %+v, %v", now, err)
			}
			whole, err := untyped.Resource(r.gvr).Namespace(obj.GetNamespace()).Get(ctx, obj.GetName(), metav1.GetOptions{})
			if err != nil || whole.Object["spec"].(map[string]any)["replicas"] != int64(3) || whole.GetResourceVersion() != now.ResourceVersion {
				t.Errorf("scaled to %v, %v", whole, err)
			}
			negative := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: obj.GetName(), Namespace: obj.GetNamespace()}, Spec: autoscalingv1.ScaleSpec{Replicas: -1}}
			if _, err := api.Update(ctx, r.gvr.GroupResource(), negative, metav1.UpdateOptions{}); !apierrors.IsInvalid(err) {
				t.Errorf("scaled to less than nothing: %v", err)
			}
		})
	}
}
