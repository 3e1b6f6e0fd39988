package catalog_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/diff"
	"sigs.k8s.io/randfill"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func TestTableFindsEveryKind(t *testing.T) {
	table := catalog.New(registry.Options{})
	for _, k := range table.Kinds() {
		t.Run(k.Resource, func(t *testing.T) {
			if got, ok := table.ByResource(k.GVR()); !ok || got != k {
				t.Errorf("not found by resource %v", k.GVR())
			}
			if got, ok := table.ByKind(k.GVK); !ok || got != k {
				t.Errorf("not found by kind %v", k.GVK)
			}
			if got, ok := table.ByType(k.Type); !ok || got != k {
				t.Errorf("not found by type %s", k.Type)
			}
			for _, name := range append([]string{k.Resource, k.Singular}, k.ShortNames...) {
				want := k
				if k.Stored != nil { // Names without a group mean the preferred version.
					want = k.Stored.Kind
				}
				if got, ok := table.ByShortName(name); !ok || got != want {
					t.Errorf("not found by name %s", name)
				}
			}
		})
	}
	if _, ok := table.ByResource(schema.GroupVersionResource{Version: "v1", Resource: "deployments"}); ok {
		t.Error("deployments found in the core group")
	}
}

// The Go type says which message it is: its package's path and its name.
func TestTypeNamesMatchGoTypes(t *testing.T) {
	for _, k := range catalog.All(registry.Options{}) {
		typ := reflect.TypeOf(k.New()).Elem()
		want := strings.ReplaceAll(typ.PkgPath(), "/", ".") + "." + typ.Name()
		if k.Type != want {
			t.Errorf("%s: type %s, want %s", k.Resource, k.Type, want)
		}
		if typ.Name() != k.GVK.Kind {
			t.Errorf("%s: New makes a %s, want a %s", k.Resource, typ.Name(), k.GVK.Kind)
		}
		if k.NewList == nil {
			if slices.Contains(k.Verbs, "list") {
				t.Errorf("%s: can be listed and has no list", k.Resource)
			}
			continue
		}
		list := reflect.TypeOf(k.NewList()).Elem()
		if list.Name() != k.GVK.Kind+"List" || list.PkgPath() != typ.PkgPath() {
			t.Errorf("%s: NewList makes a %s.%s", k.Resource, list.PkgPath(), list.Name())
		}
	}
}

// columnNames are those of every kind, as Kubernetes prints them: wide ones after a
// bar.
var columnNames = map[string]string{
	"namespaces":      "Status Age",
	"nodes":           "Status Roles Age Version | Internal-IP External-IP OS-Image Kernel-Version Container-Runtime",
	"pods":            "Ready Status Restarts Age | IP Node Nominated-Node Readiness-Gates",
	"services":        "Type Cluster-IP External-IP Port(s) Age | Selector",
	"endpoints":       "Endpoints Age",
	"configmaps":      "Data Age",
	"secrets":         "Type Data Age",
	"serviceaccounts": "Age",
	"events":          "Last-Seen Type Reason Object Message | Subobject Source First-Seen Count Name",

	"deployments.apps":                     "Ready Up-to-date Available Age | Containers Images Selector",
	"replicasets.apps":                     "Desired Current Ready Age | Containers Images Selector",
	"jobs.batch":                           "Status Completions Duration Age | Containers Images Selector",
	"cronjobs.batch":                       "Schedule Timezone Suspend Active Last-Schedule Age | Containers Images Selector",
	"horizontalpodautoscalers.autoscaling": "Reference Targets MinPods MaxPods Replicas Age",

	"bindings":          "Age",
	"componentstatuses": "Status Message Error",

	"replicationcontrollers":   "Desired Current Ready Age | Containers Images Selector",
	"podtemplates":             "Containers Images Pod-Labels",
	"limitranges":              "Created-At",
	"resourcequotas":           "Request Limit Age",
	"persistentvolumes":        "Capacity Access-Modes Reclaim-Policy Status Claim StorageClass VolumeAttributesClass Reason Age | VolumeMode",
	"persistentvolumeclaims":   "Status Volume Capacity Access-Modes StorageClass VolumeAttributesClass Age | VolumeMode",
	"statefulsets.apps":        "Ready Age | Containers Images",
	"daemonsets.apps":          "Desired Current Ready Up-to-date Available Node-Selector Age | Containers Images Selector",
	"controllerrevisions.apps": "Controller Revision Age",

	"endpointslices.discovery.k8s.io": "AddressType Ports Endpoints Age",
	"leases.coordination.k8s.io":      "Holder Age",

	"roles.rbac.authorization.k8s.io":               "Created-At",
	"clusterroles.rbac.authorization.k8s.io":        "Created-At",
	"rolebindings.rbac.authorization.k8s.io":        "Role Age | Users Groups ServiceAccounts",
	"clusterrolebindings.rbac.authorization.k8s.io": "Role Age | Users Groups ServiceAccounts",

	"ingresses.networking.k8s.io":                    "Class Hosts Address Ports Age",
	"ingressclasses.networking.k8s.io":               "Controller Parameters Age",
	"networkpolicies.networking.k8s.io":              "Pod-Selector Age",
	"ipaddresses.networking.k8s.io":                  "ParentRef",
	"servicecidrs.networking.k8s.io":                 "CIDRs Age",
	"poddisruptionbudgets.policy":                    "Min-Available Max-Unavailable Allowed-Disruptions Age",
	"storageclasses.storage.k8s.io":                  "Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age",
	"csidrivers.storage.k8s.io":                      "AttachRequired PodInfoOnMount StorageCapacity TokenRequests RequiresRepublish Modes Age",
	"csinodes.storage.k8s.io":                        "Drivers Age",
	"csistoragecapacities.storage.k8s.io":            "StorageClassName Capacity",
	"volumeattachments.storage.k8s.io":               "Attacher PV Node Attached Age",
	"volumeattributesclasses.storage.k8s.io":         "Name DriverName Age",
	"priorityclasses.scheduling.k8s.io":              "Value Global-Default Age PreemptionPolicy",
	"runtimeclasses.node.k8s.io":                     "Handler Age",
	"clustertrustbundles.certificates.k8s.io":        "SignerName",
	"podcertificaterequests.certificates.k8s.io":     "PodName ServiceAccountName NodeName SignerName State | UnverifiedUserAnnotations",
	"certificatesigningrequests.certificates.k8s.io": "Age SignerName Requestor RequestedDuration Condition",
}

func TestColumnNames(t *testing.T) {
	for _, k := range catalog.All(registry.Options{}) {
		if k.NewList == nil {
			continue // No table is ever made of it.
		}
		var narrow, wide []string
		for _, c := range k.Columns {
			name := strings.ReplaceAll(c.Name, " ", "-")
			if c.Description == "" {
				t.Errorf("%s: column %s has no description", k.StoreResource(), c.Name)
			}
			if c.Wide {
				wide = append(wide, name)
			} else {
				narrow = append(narrow, name)
			}
		}
		got := strings.Join(narrow, " ")
		if len(wide) > 0 {
			got += " | " + strings.Join(wide, " ")
		}
		if got != columnNames[k.StoreResource()] {
			t.Errorf("%s: columns\n got %s\nwant %s", k.StoreResource(), got, columnNames[k.StoreResource()])
		}
	}
}

func TestNamesAreChecked(t *testing.T) {
	tests := []struct{ resource, manifest, want string }{
		{"pods", `{metadata: {name: web, namespace: default}}`, ""},
		{"pods", `{metadata: {namespace: default}}`, "metadata.name: Required value: name or generateName is required"},
		{"pods", `{metadata: {name: web}}`, "metadata.namespace: Required value"},
		{"namespaces", `{metadata: {name: a_b}}`, `metadata.name: Invalid value: "a_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		{"services", `{metadata: {name: 1st, namespace: default}}`, `metadata.name: Invalid value: "1st": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`},
		{"configmaps", `{metadata: {name: c, namespace: default, labels: {"a b": c}}}`, `metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`},
	}
	for _, tt := range tests {
		k := kindtest.Kind(t, tt.resource)
		var want []string
		if tt.want != "" {
			want = []string{tt.want}
		}
		kindtest.WantErrors(t, k.ValidateMeta(kindtest.Decode(t, k, tt.manifest)), want...)
	}
}

func TestAllIsFreshEachTime(t *testing.T) {
	a, b := catalog.All(registry.Options{}), catalog.All(registry.Options{})
	a[0].Resource = "changed"
	if slices.ContainsFunc(b, func(k *registry.Kind) bool { return k.Resource == "changed" }) {
		t.Error("two calls of All share a kind")
	}
}

// Whatever a client sends, the table answers and does not panic.
func FuzzNothingPanics(f *testing.F) {
	for seed := range 20 {
		f.Add(int64(seed))
	}
	f.Fuzz(func(t *testing.T, seed int64) {
		fill := randfill.NewWithSeed(seed).NilChance(0.3).NumElements(0, 3).MaxDepth(12).Funcs(
			func(r *runtime.RawExtension, _ randfill.Continue) { r.Raw = []byte(`{}`) })
		for _, k := range catalog.All(registry.Options{}) {
			obj, old := k.New(), k.New()
			fill.Fill(obj)
			fill.Fill(old)
			exercise(k, obj, old)
			fresh := k.New()
			fill.Fill(fresh)
			defaultTwice(t, k, fresh)
		}
	})
}

// defaultTwice: what is defaulted is not changed by being read and defaulted again.
func defaultTwice(t *testing.T, k *registry.Kind, obj registry.Object) {
	if k.Default == nil {
		return
	}
	k.Default(obj)
	once := obj.DeepCopyObject()
	k.Default(obj)
	if !apiequality.Semantic.DeepEqual(once, obj) {
		t.Errorf("%s: defaulting twice is not defaulting once:\n%s", k.Resource, diff.Diff(once, obj))
	}
}

func exercise(k *registry.Kind, obj, old registry.Object) {
	kindtest.Prepare(k, old)
	k.ValidateMeta(obj)
	kindtest.PrepareChange(k, obj, old)
	if k.Allocate != nil {
		_ = k.Allocate(obj, old, func(registry.Claim) bool { return false }, func(int) int { return 0 })
	}
	if k.Claims != nil {
		for _, c := range k.Claims(obj) {
			_ = k.ClaimTaken(obj, c, "other/object")
		}
	}
	kindtest.ValidateChange(k, obj, old)
	if k.ValidateCreate != nil {
		k.ValidateCreate(obj)
	}
	if k.Requested != nil {
		_ = k.Requested(obj, access.User{Name: "jane"})
	}
	if k.Needs != nil {
		k.Needs(obj, nil)
	}
	if v := k.Stored; v != nil && v.ValidateCreate != nil {
		v.ValidateCreate(k.ToStored(obj))
		v.ValidateUpdate(k.ToStored(obj), k.ToStored(old))
	}
	if k.PrepareStatusUpdate != nil {
		k.PrepareStatusUpdate(obj, old)
	}
	if k.ValidateStatusUpdate != nil {
		k.ValidateStatusUpdate(obj, old)
	}
	if k.Warnings != nil {
		k.Warnings(obj)
	}
	if k.Fields != nil {
		k.Fields(obj)
	}
	if k.GracePeriod != nil {
		k.GracePeriod(obj, nil)
	}
	if k.Expires != nil {
		k.Expires(obj, kindtest.Time)
	}
	if k.PrepareDelete != nil {
		k.PrepareDelete(obj)
	}
	for _, s := range k.Subresources {
		if s.Get != nil {
			_, _ = s.Get(obj)
		}
		if s.Needs != nil {
			s.Needs(obj, old)
		}
		if s.Apply != nil && s.NewObject != nil {
			_ = s.Apply(obj, s.NewObject())
		}
	}
	kindtest.Cells(k, obj, kindtest.Time, true)
}

// Each index value costs memory with every object and every event.
func TestIndexesAreFew(t *testing.T) {
	for _, k := range catalog.All(registry.Options{}) {
		if n := len(k.Indexed) + len(k.IndexedLabels); n > 6 {
			t.Errorf("%s: %d indexes", k.StoreResource(), n)
		}
	}
}
