package networking_test

import (
	"testing"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

const (
	ingresses       = "ingresses.networking.k8s.io"
	ingressClasses  = "ingressclasses.networking.k8s.io"
	networkPolicies = "networkpolicies.networking.k8s.io"
	ipAddresses     = "ipaddresses.networking.k8s.io"
	serviceCIDRs    = "servicecidrs.networking.k8s.io"
)

// A rule with one path, of which part is given.
func rule(path string) string {
	return `{spec: {rules: [{host: a.example, http: {paths: [{` + path + `}]}}]}}`
}

const toService = `backend: {service: {name: web, port: {number: 80}}}`

func TestIngressValidation(t *testing.T) {
	const path, at = `spec.rules[0].http.paths[0]`, `spec.defaultBackend`
	backend := func(text string) string { return `{spec: {defaultBackend: {` + text + `}}}` }
	const subdomain = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`
	const wildcard = `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`
	kindtest.CheckNew(t, []kindtest.Sample{
		{"complete", ingresses, rule(`path: /, pathType: Prefix, ` + toService), ""},
		{"nothing", ingresses, `{}`, "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"},
		{"no path type", ingresses, rule(`path: /, ` + toService), path + `.pathType: Required value: pathType must be specified`},
		{"path type", ingresses, rule(`path: /, pathType: Regex, ` + toService), path + `.pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"`},
		{"no path", ingresses, rule(`pathType: Exact, ` + toService), path + `.path: Invalid value: "": must be an absolute path`},
		{"no path for others", ingresses, rule(`pathType: ImplementationSpecific, ` + toService), ``},
		{"relative", ingresses, rule(`path: a, pathType: ImplementationSpecific, ` + toService), path + `.path: Invalid value: "a": must be an absolute path`},
		{"unclean", ingresses, rule(`path: "/a//b/..", pathType: Prefix, ` + toService), path + `.path: Invalid value: "/a//b/..": must not contain '//'` + "\n" + path + `.path: Invalid value: "/a//b/..": cannot end with '/..'`},
		{"no paths", ingresses, `{spec: {rules: [{http: {paths: []}}]}}`, `spec.rules[0].http.paths: Required value`},
		{"address as host", ingresses, `{spec: {rules: [{host: 10.0.0.1}]}}`, `spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address`},
		{"host", ingresses, `{spec: {rules: [{host: A}]}}`, `spec.rules[0].host: Invalid value: "A": ` + subdomain},
		{"wildcard", ingresses, `{spec: {rules: [{host: "*.a.example"}, {host: "a.*"}]}}`, `spec.rules[1].host: Invalid value: "a.*": ` + wildcard},
		{"no backend", ingresses, backend(``), at + `: Invalid value: "": resource or service backend is required`},
		{"both backends", ingresses, backend(`service: {name: a}, resource: {kind: B, name: b}`), at + `: Invalid value: "": cannot set both resource and service backends`},
		{"no port", ingresses, backend(`service: {name: a}`), at + `: Required value: port name or number is required`},
		{"both ports", ingresses, backend(`service: {name: a, port: {name: b, number: 1}}`), at + `: Invalid value: "": cannot set both port name & port number`},
		{"port number", ingresses, backend(`service: {name: a, port: {number: 70000}}`), at + `.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive`},
		{"no service", ingresses, backend(`service: {port: {number: 1}}`), at + `.service.name: Required value`},
		{"resource", ingresses, backend(`resource: {kind: B, name: a/b}`), at + `.resource.name: Invalid value: "a/b": may not contain '/'`},
		{"no resource", ingresses, backend(`resource: {}`), at + ".resource.kind: Required value\n" + at + ".resource.name: Required value"},
		{"secret", ingresses, `{spec: {defaultBackend: {service: {name: a, port: {number: 1}}}, tls: [{secretName: A}]}}`, `spec.tls[0].secretName: Invalid value: "A": ` + subdomain},
		{"two classes", ingresses, `{metadata: {annotations: {kubernetes.io/ingress.class: a}}, spec: {ingressClassName: b, rules: [{}]}}`,
			"annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified"},
	})
	kindtest.CheckShown(t, []kindtest.Shown{
		{ingresses, `{spec: {rules: [{}]}}`, `<none> | * |  | 80`},
		{ingresses, `{spec: {ingressClassName: c, rules: [{host: a}, {host: b}], tls: [{}]}, status: {loadBalancer: {ingress: [{ip: 192.0.2.2}, {hostname: a.example}, {ip: 192.0.2.1}]}}}`, `c | a,b | 192.0.2.1,192.0.2.2,a.example | 80, 443`},
		{ingresses, `{spec: {rules: [{host: a}, {host: b}, {host: c}, {host: d}, {host: e}]}}`, `<none> | a,b,c + 2 more... |  | 80`},
	})
}

func TestIngressClassValidation(t *testing.T) {
	kindtest.CheckNew(t, []kindtest.Sample{
		{"no controller", ingressClasses, `{}`, `spec.controller: Required value`},
		{"no path", ingressClasses, `{spec: {controller: a.example}}`, `spec.controller: Invalid value: "a.example": must be a domain-prefixed path (such as "acme.io/foo")`},
		{"parameters", ingressClasses, `{spec: {controller: a.example/b, parameters: {}}}`, "spec.parameters.kind: Required value\nspec.parameters.name: Required value"},
		{"cluster's parameters", ingressClasses, `{spec: {controller: a.example/b, parameters: {kind: K, name: n, namespace: x}}}`, "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"},
		{"namespace's parameters", ingressClasses, `{spec: {controller: a.example/b, parameters: {kind: K, name: n, scope: Namespace}}}`, "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"},
		{"scope", ingressClasses, `{spec: {controller: a.example/b, parameters: {kind: K, name: n, scope: All}}}`, `spec.parameters.scope: Unsupported value: "All": supported values: "Cluster", "Namespace"`},
	})
	kindtest.CheckChanges(t, []kindtest.Change{
		{"controller", ingressClasses, `{spec: {controller: a.example/b}}`, `{spec: {controller: a.example/c}}`, `spec.controller: Invalid value: "a.example/c": field is immutable`},
	})
	kindtest.CheckShown(t, []kindtest.Shown{
		{ingressClasses, `{spec: {controller: a.example/b}}`, `a.example/b | <none>`},
		{ingressClasses, `{spec: {controller: a.example/b, parameters: {apiGroup: g.example, kind: K, name: p}}}`, `a.example/b | K.g.example/p`},
	})
}

func TestNetworkPolicyValidation(t *testing.T) {
	ingress := func(text string) string { return `{spec: {ingress: [{` + text + `}]}}` }
	const port, from = `spec.ingress[0].ports[0]`, `spec.ingress[0].from[0]`
	kindtest.CheckNew(t, []kindtest.Sample{
		{"all", networkPolicies, `{spec: {podSelector: {}, ingress: [{}]}}`, ""},
		{"protocol", networkPolicies, ingress(`ports: [{protocol: ICMP}]`), port + `.protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"`},
		{"end without port", networkPolicies, ingress(`ports: [{endPort: 5}]`), port + ".endPort: Invalid value: 5: may not be specified when `port` is not specified"},
		{"end of a name", networkPolicies, ingress(`ports: [{port: http, endPort: 5}]`), port + ".endPort: Invalid value: 5: may not be specified when `port` is non-numeric"},
		{"end before port", networkPolicies, ingress(`ports: [{port: 9, endPort: 5}]`), port + ".endPort: Invalid value: 5: must be greater than or equal to `port`"},
		{"nobody", networkPolicies, ingress(`from: [{}]`), from + `: Required value: must specify a peer`},
		{"two kinds of peer", networkPolicies, ingress(`from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]`), from + `: Forbidden: may not specify both ipBlock and another peer`},
		{"no block", networkPolicies, ingress(`from: [{ipBlock: {}}]`), from + `.ipBlock.cidr: Required value`},
		{"block", networkPolicies, ingress(`from: [{ipBlock: {cidr: x}}]`), from + `.ipBlock.cidr: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`},
		{"outside the block", networkPolicies, ingress(`from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8, 11.0.0.0/16]}}]`),
			from + ".ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`\n" + from + ".ipBlock.except[1]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`"},
		{"types", networkPolicies, `{spec: {policyTypes: [Both]}}`, `spec.policyTypes[0]: Unsupported value: "Both": supported values: "Ingress", "Egress"`},
		{"many types", networkPolicies, `{spec: {policyTypes: [Ingress, Egress, Ingress]}}`, `spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes`},
		{"selector", networkPolicies, `{spec: {podSelector: {matchExpressions: [{key: a, operator: In}]}}}`, "spec.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"},
	})
	kindtest.CheckDefaulted(t, []kindtest.Defaulted{
		{networkPolicies, `{spec: {}}`, `{spec: {policyTypes: [Ingress]}}`},
		{networkPolicies, `{spec: {egress: [{ports: [{port: 53}]}]}}`, `{spec: {egress: [{ports: [{port: 53, protocol: TCP}]}], policyTypes: [Ingress, Egress]}}`},
		{ingressClasses, `{spec: {controller: c, parameters: {kind: K, name: n}}}`, `{spec: {controller: c, parameters: {kind: K, name: n, scope: Cluster}}}`},
	})
	kindtest.CheckShown(t, []kindtest.Shown{{networkPolicies, `{spec: {podSelector: {matchLabels: {a: b}}}}`, `a=b`}, {networkPolicies, `{}`, `<none>`}})
}

func TestAddressesAndRanges(t *testing.T) {
	kindtest.CheckNew(t, []kindtest.Sample{
		{"no parent", ipAddresses, `{}`, `spec.parentRef: Required value`},
		{"empty parent", ipAddresses, `{spec: {parentRef: {}}}`, "spec.parentRef.resource: Required value\nspec.parentRef.name: Required value"},
		{"no range", serviceCIDRs, `{metadata: {name: kubernetes}}`, "spec.cidrs: Required value: at least one CIDR required\nspec.cidrs: Forbidden: cluster IPs come from 10.96.0.0/12 alone: this version of Muster takes no further range"},
		{"same family", serviceCIDRs, `{metadata: {name: a}, spec: {cidrs: [10.0.0.0/24, 10.0.1.0/24]}}`, `spec.cidrs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64` +
			"\nspec.cidrs: Forbidden: cluster IPs come from 10.96.0.0/12 alone: this version of Muster takes no further range"},
		{"the cluster's own", serviceCIDRs, `{metadata: {name: kubernetes}, spec: {cidrs: [10.96.0.0/12]}}`, ""},
	})
	kindtest.CheckChanges(t, []kindtest.Change{
		{"range", serviceCIDRs, `{spec: {cidrs: [10.96.0.0/12]}}`, `{spec: {cidrs: [10.96.0.0/16]}}`, `spec.cidrs[0]: Invalid value: "10.96.0.0/16": field is immutable`},
		{"parent", ipAddresses, `{spec: {parentRef: {resource: services, name: a}}}`, `{spec: {parentRef: {resource: services, name: b}}}`, `spec.parentRef: Invalid value: {"resource":"services","name":"b"}: field is immutable`},
	})
	kindtest.CheckShown(t, []kindtest.Shown{
		{ipAddresses, `{spec: {parentRef: {resource: services, namespace: team, name: a}}}`, `services/team/a`},
		{ipAddresses, `{spec: {parentRef: {group: g.example, resource: Things, name: a}}}`, `things.g.example/a`},
		{serviceCIDRs, `{spec: {cidrs: [10.96.0.0/12, "2001:db8::/64"]}}`, `10.96.0.0/12,2001:db8::/64`},
	})
	k := kindtest.Kind(t, ipAddresses)
	kindtest.WantErrors(t, k.ValidateMeta(kindtest.Decode(t, k, `{metadata: {name: 010.0.0.1}}`)), `metadata.name: Invalid value: "010.0.0.1": must not have leading 0s`)
}
