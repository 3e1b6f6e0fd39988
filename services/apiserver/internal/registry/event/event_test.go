package event_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

// newEvent is one as client-go's tools/events writes it, with more or other fields.
func newEvent(more string) string {
	return `{metadata: {name: e, namespace: default}, eventTime: "2026-11-20T12:00:00.000000Z", action: Pulling, reason: Pulled, type: Normal,
		reportingController: example.com/agent, reportingInstance: agent-1, ` + more + `}`
}

func TestEventValidation(t *testing.T) {
	long := strings.Repeat("x", 129)
	modern := func(more string) string {
		return `{metadata: {namespace: team}, eventTime: "2026-11-20T12:00:00.000000Z", involvedObject: {namespace: team}, ` + more + `}`
	}
	const mismatch = `does not match event.namespace`
	kindtest.CheckNew(t, []kindtest.Sample{
		{"old, about a node", "events", `{metadata: {namespace: default}, involvedObject: {kind: Node}}`, ``},
		{"old, in kube-system about a node", "events", `{metadata: {namespace: kube-system}, involvedObject: {kind: Node}}`, `involvedObject.namespace: Invalid value: "": ` + mismatch},
		{"new, in kube-system about a node", "events", `{metadata: {namespace: kube-system}, eventTime: "2026-11-20T12:00:00.000000Z", action: a, reason: r, reportingComponent: c, reportingInstance: i}`, ``},
		{"new, of nobody", "events", modern(`action: a, reason: r, reportingInstance: i`), "reportingComponent: Required value\n" +
			`reportingComponent: Invalid value: "": name part must be non-empty` + "\n" +
			`reportingComponent: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`},
		{"new, without words", "events", modern(`reportingComponent: c`), "reportingInstance: Required value\naction: Required value\nreason: Required value"},
		{"new, with long words", "events", modern(`reportingComponent: c, reportingInstance: i, action: ` + long + `, reason: ` + long + `, message: ` + strings.Repeat(long, 8)),
			"action: Invalid value: \"\": can have at most 128 characters\nreason: Invalid value: \"\": can have at most 128 characters\nmessage: Invalid value: \"\": can have at most 1024 characters"},
	})
}

func eventV1(t *testing.T) *registry.Kind {
	t.Helper()
	k, ok := catalog.New(registry.Options{}).ByKind(schema.GroupVersionKind{Group: "events.k8s.io", Version: "v1", Kind: "Event"})
	if !ok {
		t.Fatal("events.k8s.io is not served")
	}
	return k
}

func TestEventsOfTheirOwnGroup(t *testing.T) {
	k := eventV1(t)
	const unset = `: Invalid value: "": needs to be unset`
	for _, tt := range []struct{ name, object, want string }{
		{"complete", newEvent(`note: done, regarding: {kind: Pod, namespace: default, name: p}, series: {count: 2, lastObservedTime: "2026-11-20T12:00:00.000000Z"}`), ``},
		{"no time", `{metadata: {name: e, namespace: default}, type: Normal}`, `eventTime: Required value`},
		{"series", newEvent(`series: {count: 1}`), "series.count: Invalid value: \"\": should be at least 2\nseries.lastObservedTime: Required value"},
		{"type", strings.Replace(newEvent(`note: a`), "type: Normal", "type: Bad", 1), `type: Invalid value: "": has invalid value: Bad`},
		{"deprecated", newEvent(`deprecatedCount: 1, deprecatedSource: {component: c}, deprecatedFirstTimestamp: "2026-11-20T12:00:00Z", deprecatedLastTimestamp: "2026-11-20T12:00:00Z"`),
			"firstTimestamp" + unset + "\nlastTimestamp" + unset + "\ncount" + unset + "\nsource" + unset},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kindtest.WantErrors(t, k.Stored.ValidateCreate(k.ToStored(kindtest.Decode(t, k, tt.object))), kindtest.Lines(tt.want)...)
		})
	}
	old := k.ToStored(kindtest.Decode(t, k, newEvent(`note: a`)))
	for _, tt := range []struct{ name, object, want string }{
		{"series", newEvent(`note: a, series: {count: 2, lastObservedTime: "2026-11-20T12:00:00.000000Z"}`), ``},
		{"note", newEvent(`note: b`), `message: Invalid value: "b": field is immutable`},
		{"regarding", newEvent(`note: a, regarding: {kind: Node}`), `involvedObject: Invalid value: {"kind":"Node"}: field is immutable`},
	} {
		t.Run("changed "+tt.name, func(t *testing.T) {
			kindtest.WantErrors(t, k.Stored.ValidateUpdate(k.ToStored(kindtest.Decode(t, k, tt.object)), old), kindtest.Lines(tt.want)...)
		})
	}
	got := k.Fields(kindtest.Decode(t, k, newEvent(`regarding: {kind: Pod, name: p}`))).String()
	want := "reason=Pulled,regarding.apiVersion=,regarding.fieldPath=,regarding.kind=Pod,regarding.name=p,regarding.namespace=,regarding.resourceVersion=,regarding.uid=,reportingController=example.com/agent,type=Normal"
	if got != want {
		t.Errorf("fields %s, want %s", got, want)
	}
}

// What is read in the one group is what was written in the other.
func TestEventsAreTheSameInBothGroups(t *testing.T) {
	k := eventV1(t)
	obj := kindtest.Decode(t, k, newEvent(`note: done, regarding: {kind: Pod, name: p}, related: {kind: Node}, series: {count: 2, lastObservedTime: "2026-11-20T12:00:00.000000Z"},
		deprecatedCount: 3, deprecatedSource: {component: c, host: h}, deprecatedFirstTimestamp: "2026-11-20T12:00:00Z", deprecatedLastTimestamp: "2026-11-20T12:00:01Z"`))
	before := kindtest.YAML(t, obj)
	again := k.FromStored(k.ToStored(obj))
	again.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	if after := kindtest.YAML(t, again); after != before {
		t.Errorf("became\n%s\nwas\n%s", after, before)
	}
}

func TestSliceHints(t *testing.T) {
	const slices = "endpointslices.discovery.k8s.io"
	endpoint := func(text string) string {
		return `{addressType: IPv4, endpoints: [{addresses: [10.0.0.1], ` + text + `}]}`
	}
	kindtest.CheckNew(t, []kindtest.Sample{
		{"zones and nodes", slices, endpoint(`zone: a, nodeName: n1, hints: {forZones: [{name: a}], forNodes: [{name: n1}]}`), ``},
		{"zone twice", slices, endpoint(`hints: {forZones: [{name: a}, {name: a}]}`), `endpoints[0].hints.forZones[1].name: Duplicate value: "a"`},
		{"many nodes", slices, endpoint(`hints: {forNodes: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}, {name: f}, {name: g}, {name: h}, {name: i}]}`), `endpoints[0].hints.forNodes: Too many: 9: must have at most 8 items`},
		{"IPv6", slices, `{addressType: IPv6, endpoints: [{addresses: ["2001:db8::1"]}]}`, ``},
		{"names", slices, `{addressType: FQDN, endpoints: [{addresses: [a.example]}]}`, ``},
	})
	k := kindtest.Kind(t, slices)
	if got := k.Warnings(kindtest.Decode(t, k, `{addressType: FQDN}`)); len(got) != 1 || got[0] != "spec.addressType: FQDN endpoints are deprecated" {
		t.Errorf("warnings %q", got)
	}
	want := "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
	if got := kindtest.Kind(t, "endpoints").Deprecated; got != want {
		t.Errorf("warned of %q, want %q", got, want)
	}
}
