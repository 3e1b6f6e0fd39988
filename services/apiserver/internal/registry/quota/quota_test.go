package quota_test

import (
	"testing"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func limits(items string) string {
	return `{metadata: {name: a, namespace: default, creationTimestamp: "2026-11-20T11:55:00Z"}, spec: {limits: [` + items + `]}}`
}

func quota(spec string) string {
	return `{metadata: {name: a, namespace: default}, spec: ` + spec + `}`
}

func TestQuotaValidation(t *testing.T) {
	kindtest.CheckNew(t, []kindtest.Sample{
		{"good", "resourcequotas", quota(`{hard: {pods: 3, requests.cpu: 1500m, count/deployments.apps: 2, requests.example.com/gpu: 1}}`), ""},
		{"name", "resourcequotas", quota(`{hard: {other: 1}}`), "spec.hard[other]: Invalid value: \"other\": must be a standard resource type or fully qualified\nspec.hard[other]: Invalid value: \"other\": must be a standard resource for quota"},
		{"storage", "resourcequotas", quota(`{hard: {storage: 1}}`), `spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota`},
		{"negative", "resourcequotas", quota(`{hard: {cpu: -1}}`), `spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0`},
		{"fraction", "resourcequotas", quota(`{hard: {pods: 500m}}`), `spec.hard[pods]: Invalid value: "500m": must be an integer`},
		{"scope", "resourcequotas", quota(`{scopes: [Other]}`), `spec.scopes: Invalid value: ["Other"]: unsupported scope`},
		{"scoped", "resourcequotas", quota(`{hard: {cpu: 1}, scopes: [BestEffort]}`), `spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource`},
		{"conflict", "resourcequotas", quota(`{hard: {pods: 1}, scopes: [Terminating, NotTerminating]}`), `spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes`},
		{"selector", "resourcequotas", quota(`{hard: {pods: 1}, scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}}`), ""},
		{"no values", "resourcequotas", quota(`{hard: {pods: 1}, scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In}]}}`),
			"spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"},

		{"good", "limitranges", limits(`{type: Container, max: {cpu: 2}, min: {cpu: 100m}, maxLimitRequestRatio: {cpu: 4}}`), ""},
		{"type", "limitranges", limits(`{type: Other}`), `spec.limits[0].type: Invalid value: "Other": must be a standard limit type or fully qualified`},
		{"twice", "limitranges", limits(`{type: Pod}, {type: Pod}`), `spec.limits[1].type: Duplicate value: "Pod"`},
		{"pod", "limitranges", limits(`{type: Pod, default: {cpu: 1}, defaultRequest: {cpu: 1}}`),
			"spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'\nspec.limits[0].defaultRequest: Forbidden: may not be specified when `type` is 'Pod'"},
		{"name", "limitranges", limits(`{type: Container, max: {pods: 1}}`), "spec.limits[0].max[pods]: Invalid value: \"pods\": must be a standard resource for containers\n" +
			"spec.limits[0].default[pods]: Invalid value: \"pods\": must be a standard resource for containers\nspec.limits[0].defaultRequest[pods]: Invalid value: \"pods\": must be a standard resource for containers"},
		{"order", "limitranges", limits(`{type: Pod, max: {cpu: 1}, min: {cpu: 2}}`), `spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1`},
		{"default", "limitranges", limits(`{type: Container, max: {cpu: 1}, default: {cpu: 2}, defaultRequest: {cpu: 3}}`),
			`spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than max value 1` + "\n" +
				`spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than default limit value 2` + "\n" +
				`spec.limits[0].default[cpu]: Invalid value: "1": default value 2 is greater than max value 1`},
		{"ratio", "limitranges", limits(`{type: Pod, max: {cpu: 2}, min: {cpu: 1}, maxLimitRequestRatio: {cpu: 3}}`), `spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000`},
		{"claims", "limitranges", limits(`{type: PersistentVolumeClaim, max: {other.io/a: 1}}`), "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"},
	})
}

func TestQuotaUpdate(t *testing.T) {
	kindtest.CheckChanges(t, []kindtest.Change{
		{"amounts", "resourcequotas", quota(`{hard: {pods: 1}, scopes: [Terminating, BestEffort]}`), quota(`{hard: {pods: 2}, scopes: [BestEffort, Terminating]}`), ""},
		{"scopes", "resourcequotas", quota(`{hard: {pods: 1}}`), quota(`{hard: {pods: 1}, scopes: [BestEffort]}`), `spec.scopes: Invalid value: ["BestEffort"]: field is immutable`},
	})
}

func TestLimitRangeDefaults(t *testing.T) {
	k := kindtest.Kind(t, "limitranges")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, limits(`{type: Container, max: {cpu: 2, memory: 1Gi}, min: {cpu: 100m}, default: {cpu: 1}}`)))
	want := kindtest.Prepare(k, kindtest.Decode(t, k, limits(`{type: Container, max: {cpu: 2, memory: 1Gi}, min: {cpu: 100m}, default: {cpu: 1, memory: 1Gi}, defaultRequest: {cpu: 1, memory: 1Gi}}`)))
	if a, b := kindtest.YAML(t, obj), kindtest.YAML(t, want); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}

func TestQuotaLines(t *testing.T) {
	kindtest.CheckLines(t, []kindtest.Sample{
		{"quota", "resourcequotas", `{status: {hard: {pods: 3, limits.cpu: 4, requests.cpu: 2}, used: {pods: 1, limits.cpu: 1500m, requests.cpu: 0}}}`,
			`["pods: 1/3, requests.cpu: 0/2" "limits.cpu: 1500m/4" "<unknown>"]`},
		{"limits", "limitranges", limits(``), `["2026-11-20T11:55:00Z"]`},
	})
}
