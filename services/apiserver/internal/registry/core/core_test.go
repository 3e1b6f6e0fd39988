package core_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func TestNamespaceLife(t *testing.T) {
	k := kindtest.Kind(t, "namespaces")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{metadata: {name: team}, status: {phase: Terminating}}`)).(*corev1.Namespace)
	if obj.Status.Phase != corev1.NamespaceActive || obj.Labels["kubernetes.io/metadata.name"] != "team" {
		t.Errorf("new namespace: phase %s, labels %v", obj.Status.Phase, obj.Labels)
	}
	if !k.Held(obj) {
		t.Error("a new namespace is not held by its finalizer")
	}
	k.PrepareDelete(obj)
	if obj.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("phase %s after a deletion, want Terminating", obj.Status.Phase)
	}

	emptied := obj.DeepCopy()
	emptied.Spec.Finalizers = nil
	update := emptied.DeepCopy()
	k.PrepareUpdate(update, obj)
	if !k.Held(update) {
		t.Error("a plain update took the finalizer away")
	}
	sub, _ := k.Subresource("finalize")
	if err := sub.Apply(obj, emptied); err != nil {
		t.Fatal(err)
	}
	if k.Held(obj) {
		t.Error("finalize did not take the finalizer away")
	}
}

func TestNamespaceWithAGeneratedName(t *testing.T) {
	k := kindtest.Kind(t, "namespaces")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{metadata: {generateName: team-}}`)).(*corev1.Namespace)
	obj.Name = "team-x7"
	if err := k.Allocate(obj, nil, kindtest.Claimed{}.Taken, kindtest.First); err != nil {
		t.Fatal(err)
	}
	if got := obj.Labels["kubernetes.io/metadata.name"]; got != "team-x7" {
		t.Errorf("label %q, want team-x7", got)
	}
}

func badKey(path, key string) string {
	return path + "[" + key + "]: Invalid value: \"" + key + "\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
}

func TestCoreValidation(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	tests := []struct{ name, resource, object, want string }{
		{"config map key", "configmaps", `{data: {"a b": c}}`, badKey("data", "a b")},
		{"config map keys, as they sort", "configmaps", `{data: {e/: a, a/: b}, binaryData: {d/: ZA==, b/: ZA==}}`, strings.Join([]string{badKey("data", "a/"), badKey("data", "e/"), badKey("binaryData", "b/"), badKey("binaryData", "d/")}, "\n")},
		{"key twice", "configmaps", `{data: {a: b}, binaryData: {a: ZA==}}`, `data[a]: Invalid value: "a": duplicate of key present in binaryData`},
		{"large config map", "configmaps", `{data: {a: b, c: ` + big + `}}`, `[]: Too long: may not be more than 1048576 bytes`},
		{"large secret", "secrets", `{stringData: {a: b, c: ` + big + `}}`, `data: Too long: may not be more than 1048576 bytes`},
		{"registry secret", "secrets", `{type: kubernetes.io/dockerconfigjson}`, `data[.dockerconfigjson]: Required value`},
		{"registry secret broken", "secrets", `{type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: "{"}}`, `data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": unexpected end of JSON input`},
		{"TLS secret", "secrets", `{type: kubernetes.io/tls, stringData: {tls.crt: a}}`, `data[tls.key]: Required value`},
		{"password secret", "secrets", `{type: kubernetes.io/basic-auth}`, "data[username]: Required value\ndata[password]: Required value"},
		{"token secret", "secrets", `{type: kubernetes.io/service-account-token}`, `metadata.annotations[kubernetes.io/service-account.name]: Required value`},
		{"taint without effect", "nodes", `{spec: {taints: [{key: a}]}}`, `spec.taints[0].effect: Required value`},
		{"taint effect", "nodes", `{spec: {taints: [{key: a, effect: Never}]}}`, `spec.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"`},
		{"config source", "nodes", `{spec: {configSource: {}}}`, `spec.configSource: Forbidden: not supported by this version of Muster`},
		{"event elsewhere", "events", `{metadata: {name: e, namespace: a}, involvedObject: {namespace: b}}`, `involvedObject.namespace: Invalid value: "b": does not match event.namespace`},
		{"event about a node", "events", `{metadata: {name: e, namespace: default}, involvedObject: {kind: Node, name: n}}`, ``},
		{"no addresses", "endpoints", `{subsets: [{ports: [{port: 80}]}]}`, "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"},
		{"loopback", "endpoints", `{subsets: [{addresses: [{ip: 127.0.0.1}]}]}`, `subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`},
		{"no address type", "endpointslices.discovery.k8s.io", `{}`, `addressType: Required value`},
		{"other family", "endpointslices.discovery.k8s.io", `{addressType: IPv4, endpoints: [{addresses: ["2001:db8::1"]}]}`, `endpoints[0].addresses[0]: Invalid value: "2001:db8::1": must be an IPv4 address`},
		{"lease time", "leases.coordination.k8s.io", `{spec: {leaseDurationSeconds: 0}}`, `spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := kindtest.Kind(t, tt.resource)
			var want []string
			if tt.want != "" {
				want = strings.Split(tt.want, "\n")
			}
			kindtest.WantErrors(t, kindtest.Validate(k, kindtest.Prepare(k, kindtest.Decode(t, k, tt.object))), want...)
		})
	}
}

func TestCoreUpdates(t *testing.T) {
	tests := []struct{ name, resource, old, object, want string }{
		{"secret type", "secrets", `{type: a.example/b}`, `{}`, `type: Invalid value: "Opaque": field is immutable`},
		{"immutable secret", "secrets", `{immutable: true, data: {a: ZA==}}`, `{data: {a: ZQ==}}`, "immutable: Forbidden: field is immutable when `immutable` is set\ndata: Forbidden: field is immutable when `immutable` is set"},
		{"immutable config map", "configmaps", `{immutable: true, data: {a: b}}`, `{immutable: true, data: {a: c}}`, "data: Forbidden: field is immutable when `immutable` is set"},
		{"pod CIDR given", "nodes", `{}`, `{spec: {podCIDR: 10.244.1.0/24}}`, ``},
		{"pod CIDR changed", "nodes", `{spec: {podCIDR: 10.244.1.0/24}}`, `{spec: {podCIDR: 10.244.2.0/24}}`, `spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid`},
		{"address type", "endpointslices.discovery.k8s.io", `{addressType: IPv4}`, `{addressType: IPv6}`, `addressType: Invalid value: "IPv6": field is immutable`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := kindtest.Kind(t, tt.resource)
			old := kindtest.Prepare(k, kindtest.Decode(t, k, tt.old))
			obj := kindtest.PrepareChange(k, kindtest.Decode(t, k, tt.object), old)
			var want []string
			if tt.want != "" {
				want = strings.Split(tt.want, "\n")
			}
			kindtest.WantErrors(t, kindtest.ValidateChange(k, obj, old), want...)
		})
	}
}

func TestSecretStringData(t *testing.T) {
	k := kindtest.Kind(t, "secrets")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{data: {a: ZA==}, stringData: {a: new, b: more}}`)).(*corev1.Secret)
	if obj.StringData != nil || string(obj.Data["a"]) != "new" || string(obj.Data["b"]) != "more" || obj.Type != corev1.SecretTypeOpaque {
		t.Errorf("secret %+v", obj)
	}
}

func TestSelectableFields(t *testing.T) {
	tests := []struct{ resource, object, want string }{
		{"pods", `{spec: {nodeName: n1, restartPolicy: Never}, status: {phase: Running, podIP: 10.0.0.1}}`,
			"spec.hostNetwork=false,spec.nodeName=n1,spec.restartPolicy=Never,spec.schedulerName=,spec.serviceAccountName=,status.nominatedNodeName=,status.phase=Running,status.podIP=10.0.0.1"},
		{"secrets", `{type: Opaque}`, "type=Opaque"},
		{"nodes", `{spec: {unschedulable: true}}`, "spec.unschedulable=true"},
		{"namespaces", `{status: {phase: Active}}`, "status.phase=Active"},
		{"services", `{spec: {type: ClusterIP, clusterIP: None}}`, "spec.clusterIP=None,spec.type=ClusterIP"},
		{"replicasets.apps", `{status: {replicas: 2}}`, "status.replicas=2"},
	}
	for _, tt := range tests {
		k := kindtest.Kind(t, tt.resource)
		got := k.Fields(kindtest.Decode(t, k, tt.object))
		if got.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.resource, got, tt.want)
		}
		for _, name := range k.Indexed {
			if !got.Has(name) {
				t.Errorf("%s: index %s is no field", tt.resource, name)
			}
		}
	}
}

// The short way of an update that keeps its identity refuses what the long one does.
func TestMetaUpdateIsCheckedWhenIdentityChanges(t *testing.T) {
	k := kindtest.Kind(t, "configmaps")
	second := int64(1)
	now := metav1.NewTime(kindtest.Time)
	old := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", UID: "u", ResourceVersion: "7", Generation: 2, CreationTimestamp: now}}
	for field, change := range map[string]func(*corev1.ConfigMap){
		"metadata.name":                       func(c *corev1.ConfigMap) { c.Name = "b" },
		"metadata.namespace":                  func(c *corev1.ConfigMap) { c.Namespace = "b" },
		"metadata.uid":                        func(c *corev1.ConfigMap) { c.UID = "b" },
		"metadata.resourceVersion":            func(c *corev1.ConfigMap) { c.ResourceVersion = "" },
		"metadata.generation":                 func(c *corev1.ConfigMap) { c.Generation = 1 },
		"metadata.creationTimestamp":          func(c *corev1.ConfigMap) { c.CreationTimestamp = metav1.NewTime(kindtest.Time.Add(time.Second)) },
		"metadata.deletionTimestamp":          func(c *corev1.ConfigMap) { c.DeletionTimestamp = &now },
		"metadata.deletionGracePeriodSeconds": func(c *corev1.ConfigMap) { c.DeletionGracePeriodSeconds = &second },
	} {
		changed := old.DeepCopy()
		change(changed)
		errs := k.ValidateMetaUpdate(changed, old)
		if len(errs) != 1 || errs[0].Field != field {
			t.Errorf("%s: %v", field, errs)
		}
	}
	if errs := k.ValidateMetaUpdate(old.DeepCopy(), old); len(errs) > 0 {
		t.Errorf("unchanged: %v", errs)
	}
}

// What an update changes is checked, and what it leaves as it was stored is not.
func TestMetaUpdateIsCheckedWhereItChanges(t *testing.T) {
	k := kindtest.Kind(t, "configmaps")
	bad := metav1.ObjectMeta{
		Namespace: "default", Name: "a", UID: "u", ResourceVersion: "7",
		Labels: map[string]string{"-": ""}, Annotations: map[string]string{"-": ""}, Finalizers: []string{"-"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "K", Name: "n", UID: "u"}},
		GenerateName:    "-", ManagedFields: []metav1.ManagedFieldsEntry{{Operation: "-"}},
	}
	stored := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", UID: "u", ResourceVersion: "7"}}
	for field, change := range map[string]func(*corev1.ConfigMap){
		"metadata.labels":                        func(c *corev1.ConfigMap) { c.Labels = bad.Labels },
		"metadata.annotations":                   func(c *corev1.ConfigMap) { c.Annotations = bad.Annotations },
		"metadata.finalizers":                    func(c *corev1.ConfigMap) { c.Finalizers = bad.Finalizers },
		"metadata.ownerReferences[0].apiVersion": func(c *corev1.ConfigMap) { c.OwnerReferences = bad.OwnerReferences },
		"metadata.generateName":                  func(c *corev1.ConfigMap) { c.GenerateName = bad.GenerateName },
		"metadata.managedFields[0].operation":    func(c *corev1.ConfigMap) { c.ManagedFields = bad.ManagedFields },
	} {
		changed := stored.DeepCopy()
		change(changed)
		if errs := k.ValidateMetaUpdate(changed, stored); len(errs) == 0 || errs[0].Field != field {
			t.Errorf("%s: %v", field, errs)
		}
	}
	bad.ManagedFields = nil // which are never stored
	if errs := k.ValidateMetaUpdate(&corev1.ConfigMap{ObjectMeta: bad}, &corev1.ConfigMap{ObjectMeta: *bad.DeepCopy()}); len(errs) > 0 {
		t.Errorf("as it was stored: %v", errs)
	}
}
