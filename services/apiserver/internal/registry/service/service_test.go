package service_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
	"github.com/musterhq/muster/services/apiserver/internal/registry/service"
)

func last(n int) int { return n - 1 }

func newService(t *testing.T, spec string) *corev1.Service {
	t.Helper()
	k := kindtest.Kind(t, "services")
	return kindtest.Prepare(k, kindtest.Decode(t, k, `{metadata: {name: web, namespace: default}, spec: `+spec+`}`)).(*corev1.Service)
}

func TestServiceDefaults(t *testing.T) {
	k := kindtest.Kind(t, "services")
	obj := newService(t, `{type: NodePort, sessionAffinity: ClientIP, selector: {app: w}, ports: [{port: 8080, targetPort: 8000, nodePort: 30000}, {name: b, port: 53, protocol: UDP}]}`)
	want := `externalTrafficPolicy: Cluster
internalTrafficPolicy: Cluster
ipFamilies:
- IPv4
ipFamilyPolicy: SingleStack
ports:
- nodePort: 30000
  port: 8080
  protocol: TCP
  targetPort: 8000
- name: b
  port: 53
  protocol: UDP
  targetPort: 53
selector:
  app: w
sessionAffinity: ClientIP
sessionAffinityConfig:
  clientIP:
    timeoutSeconds: 10800
type: NodePort
`
	if got := kindtest.YAML(t, obj.Spec); got != want {
		t.Errorf("spec:\n%s\nwant:\n%s", got, want)
	}
	obj = newService(t, `{type: ExternalName, externalName: a.example}`)
	if got, want := kindtest.YAML(t, obj.Spec), "externalName: a.example\nsessionAffinity: None\ntype: ExternalName\n"; got != want {
		t.Errorf("spec:\n%s\nwant:\n%s", got, want)
	}
	kindtest.WantErrors(t, kindtest.Validate(k, obj))
}

func TestServiceValidation(t *testing.T) {
	const forbidden = ": Forbidden: not supported by this version of Muster"
	tests := []struct{ name, spec, want string }{
		{"cluster IP", `{ports: [{port: 80}]}`, ``},
		{"headless without ports", `{clusterIP: None}`, ``},
		{"no ports", `{}`, `spec.ports: Required value`},
		{"port out of range", `{ports: [{port: 70000, targetPort: 80}]}`, `spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive`},
		{"target out of range", `{ports: [{port: 80, targetPort: 70000}]}`, `spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive`},
		{"two ports without names", `{ports: [{port: 80}, {port: 81}]}`, "spec.ports[0].name: Required value\nspec.ports[1].name: Required value"},
		{"node port of a cluster IP", `{ports: [{port: 80, nodePort: 30000}]}`, "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
		{"headless node port", `{type: NodePort, clusterIP: None, ports: [{port: 80}]}`, `spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`},
		{"type", `{type: Other, ports: [{port: 80}]}`, "spec.type: Unsupported value: \"Other\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""},
		{"external name missing", `{type: ExternalName}`, `spec.externalName: Required value`},
		{"external name with IP", `{type: ExternalName, externalName: a, clusterIP: 10.96.0.5}`, `spec.clusterIPs: Forbidden: may not be set for ExternalName services`},
		{"affinity", `{sessionAffinity: Cookie, ports: [{port: 80}]}`, `spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"`},
		{"affinity time", `{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 100000}}, ports: [{port: 80}]}`, `spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 100000: must be greater than 0 and less than 86400`},
		{"external policy of a cluster IP", `{externalTrafficPolicy: Cluster, ports: [{port: 80}]}`, `spec.externalTrafficPolicy: Invalid value: "Cluster": may only be set for externally-accessible services`},
		{"two addresses", `{clusterIP: 10.96.0.5, clusterIPs: [10.96.0.6], ports: [{port: 80}]}`, "spec.clusterIPs: Invalid value: [\"10.96.0.6\"]: first value must match `clusterIP`"},
		{"no address", `{clusterIP: abc, ports: [{port: 80}]}`, `spec.clusterIPs[0]: Invalid value: "abc": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`},

		{"load balancer", `{type: LoadBalancer, loadBalancerClass: a.example/b, ports: [{port: 80}]}`, ``},
		{"headless load balancer", `{type: LoadBalancer, clusterIP: None, ports: [{port: 80}]}`, `spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for LoadBalancer services`},
		{"class of another type", `{loadBalancerClass: a.example/b, allocateLoadBalancerNodePorts: true, ports: [{port: 80}]}`,
			"spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'\nspec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"},
		{"clients of a load balancer", `{type: LoadBalancer, loadBalancerSourceRanges: [192.0.2.0/24], ports: [{port: 80}]}`, "spec.loadBalancerSourceRanges" + forbidden},
		{"external IPs", `{externalIPs: [192.0.2.1], ports: [{port: 80}]}`, "spec.externalIPs" + forbidden},
		{"local", `{type: NodePort, externalTrafficPolicy: Local, ports: [{port: 80}]}`, "spec.externalTrafficPolicy" + forbidden},
		{"dual stack", `{ipFamilyPolicy: PreferDualStack, ports: [{port: 80}]}`, "spec.ipFamilyPolicy" + forbidden},
		{"IPv6", `{ipFamilies: [IPv6], ports: [{port: 80}]}`, "spec.ipFamilies[0]" + forbidden},
		{"SCTP", `{ports: [{port: 80, protocol: SCTP}]}`, "spec.ports[0].protocol" + forbidden},
	}
	k := kindtest.Kind(t, "services")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			if tt.want != "" {
				want = strings.Split(tt.want, "\n")
			}
			kindtest.WantErrors(t, kindtest.Validate(k, newService(t, tt.spec)), want...)
		})
	}
}

func TestServiceAllocation(t *testing.T) {
	k := kindtest.Kind(t, "services")
	tests := []struct {
		name, spec string
		held       kindtest.Claimed
		pick       func(int) int
		claims     string
		err        string
	}{
		{name: "first of the dynamic band", spec: `{ports: [{port: 80}]}`, pick: kindtest.First, claims: "10.96.1.0"},
		{name: "last of the range", spec: `{ports: [{port: 80}]}`, pick: last, claims: "10.111.255.254"},
		{name: "next when taken", spec: `{ports: [{port: 80}]}`, pick: kindtest.First, held: kindtest.Claimed{"_clusterips 10.96.1.0": true}, claims: "10.96.1.1"},
		{name: "around the end", spec: `{ports: [{port: 80}]}`, pick: last, held: kindtest.Claimed{"_clusterips 10.111.255.254": true}, claims: "10.96.1.0"},
		{name: "named", spec: `{clusterIP: 10.96.0.77, ports: [{port: 80}]}`, claims: "10.96.0.77"},
		{name: "headless", spec: `{clusterIP: None}`, claims: ""},
		{name: "external name", spec: `{type: ExternalName, externalName: a}`, claims: ""},
		{name: "taken", spec: `{clusterIP: 10.96.0.77, ports: [{port: 80}]}`, held: kindtest.Claimed{"_clusterips 10.96.0.77": true},
			err: `spec.clusterIPs: Invalid value: ["10.96.0.77"]: failed to allocate IP 10.96.0.77: provided IP is already allocated`},
		{name: "the DNS server's", spec: `{clusterIP: 10.96.0.10, ports: [{port: 80}]}`,
			err: `spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated`},
		{name: "out of range", spec: `{clusterIP: 10.1.0.1, ports: [{port: 80}]}`,
			err: `spec.clusterIPs: Invalid value: ["10.1.0.1"]: failed to allocate IP 10.1.0.1: the provided IP (10.1.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/12`},

		{name: "node port", spec: `{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80}]}`, pick: kindtest.First, claims: "10.96.0.77 TCP/30086"},
		{name: "last node port", spec: `{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80}]}`, pick: last, claims: "10.96.0.77 TCP/32767"},
		{name: "both protocols", spec: `{type: NodePort, clusterIP: 10.96.0.77, ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}, {name: c, port: 54}]}`, pick: kindtest.First, claims: "10.96.0.77 TCP/30086 UDP/30086 TCP/30087"},
		{name: "node port named", spec: `{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80, nodePort: 30000}]}`, claims: "10.96.0.77 TCP/30000"},
		{name: "node port taken", spec: `{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80, nodePort: 30000}]}`, held: kindtest.Claimed{"_nodeports TCP/30000": true},
			err: `spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated`},
		{name: "node port out of range", spec: `{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80, nodePort: 80}]}`,
			err: `spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pick := tt.pick
			if pick == nil {
				pick = func(int) int { t.Error("picked a number though none is needed"); return 0 }
			}
			obj := newService(t, tt.spec)
			err := k.Allocate(obj, nil, tt.held.Taken, pick)
			switch {
			case err != nil && err.Error() != tt.err:
				t.Fatalf("got %v\nwant %s", err, tt.err)
			case err == nil && tt.err != "":
				t.Fatalf("no error, want %s", tt.err)
			case err != nil:
				return
			}
			kindtest.WantErrors(t, kindtest.Validate(k, obj))
			if got := claimValues(k, obj); got != tt.claims {
				t.Errorf("claims %q, want %q", got, tt.claims)
			}
		})
	}
}

func claimValues(k *registry.Kind, obj registry.Object) string {
	var values []string
	for _, c := range k.Claims(obj) {
		values = append(values, c.Value)
	}
	return strings.Join(values, " ")
}

func TestFullRangeOfAddresses(t *testing.T) {
	table := catalog.New(registry.Options{NodePorts: registry.PortRange{First: 30000, Last: 30001}})
	k, _ := table.ByStoreResource("services")
	obj := newService(t, `{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80}]}`)
	held := kindtest.Claimed{"_nodeports TCP/30000": true, "_nodeports UDP/30001": true}
	err := k.Allocate(obj, nil, held.Taken, kindtest.First)
	want := "spec.ports[0].nodePort: Internal error: failed to allocate a nodePort: range is full"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestReservedAddressOfTheAPI(t *testing.T) {
	k := kindtest.Kind(t, "services")
	obj := newService(t, `{clusterIP: 10.96.0.1, ports: [{port: 443}]}`)
	obj.Name = "kubernetes"
	if err := k.Allocate(obj, nil, kindtest.Claimed{}.Taken, kindtest.First); err != nil {
		t.Errorf("default/kubernetes may not have its address: %v", err)
	}
	obj.Namespace = "other"
	if err := k.Allocate(obj, nil, kindtest.Claimed{}.Taken, kindtest.First); err == nil {
		t.Error("another service got the address of default/kubernetes")
	}
}

func taken(err error) (out *field.Error) {
	errors.As(err, &out)
	return out
}

func TestClaimTaken(t *testing.T) {
	k := kindtest.Kind(t, "services")
	obj := newService(t, `{type: NodePort, clusterIP: 10.96.0.77, ports: [{name: a, port: 80, nodePort: 30001}, {name: b, port: 81, nodePort: 30002}]}`)
	kindtest.WantErrors(t, field.ErrorList{
		taken(k.ClaimTaken(obj, registry.Claim{Table: service.ClusterIPTable, Value: "10.96.0.77"}, "default/b")),
		taken(k.ClaimTaken(obj, registry.Claim{Table: service.NodePortTable, Value: "TCP/30002"}, "default/b")),
	},
		`spec.clusterIPs: Invalid value: ["10.96.0.77"]: failed to allocate IP 10.96.0.77: provided IP is already allocated`,
		`spec.ports[1].nodePort: Invalid value: 30002: provided port is already allocated`)
}

func TestServiceUpdates(t *testing.T) {
	k := kindtest.Kind(t, "services")
	nodePort := newService(t, `{type: NodePort, clusterIP: 10.96.0.77, ports: [{port: 80, nodePort: 30001}]}`)
	externalName := newService(t, `{type: ExternalName, externalName: a.example}`)
	tests := []struct {
		name   string
		old    *corev1.Service
		spec   string // what a client sends that knows nothing of the old one
		claims string
		want   []string
	}{
		{"replaced", nodePort, `{type: NodePort, ports: [{port: 80}]}`, "10.96.0.77 TCP/30001", nil},
		{"another port", nodePort, `{type: NodePort, ports: [{port: 81}]}`, "10.96.0.77 TCP/30086", nil},
		{"to cluster IP", nodePort, `{type: ClusterIP, clusterIP: 10.96.0.77, clusterIPs: [10.96.0.77], externalTrafficPolicy: Cluster, ports: [{port: 80, nodePort: 30001}]}`, "10.96.0.77", nil},
		{"to external name", nodePort, `{type: ExternalName, externalName: b.example}`, "", nil},
		{"from external name", externalName, `{type: ClusterIP, externalName: a.example, ports: [{port: 80}]}`, "10.96.1.0", nil},
		{"another address", nodePort, `{type: NodePort, clusterIP: 10.96.0.78, ports: [{port: 80}]}`, "10.96.0.78 TCP/30001",
			[]string{`spec.clusterIPs[0]: Invalid value: ["10.96.0.78"]: may not change once set`}},
		{"made headless", nodePort, `{type: ClusterIP, clusterIP: None, ports: [{port: 80}]}`, "",
			[]string{`spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obj := kindtest.Decode(t, k, `{metadata: {name: web, namespace: default}, spec: `+tt.spec+`}`).(*corev1.Service)
			kindtest.PrepareChange(k, obj, tt.old)
			if err := k.Allocate(obj, tt.old, kindtest.Claimed{}.Taken, kindtest.First); err != nil {
				t.Fatal(err)
			}
			if got := claimValues(k, obj); got != tt.claims {
				t.Errorf("claims %q, want %q", got, tt.claims)
			}
			kindtest.WantErrors(t, kindtest.ValidateChange(k, obj, tt.old), tt.want...)
		})
	}
}
