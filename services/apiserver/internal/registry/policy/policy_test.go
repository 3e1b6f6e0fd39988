package policy_test

import (
	"testing"

	policyv1 "k8s.io/api/policy/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

const pdbs = "poddisruptionbudgets.policy"

func TestBudgetValidation(t *testing.T) {
	kindtest.CheckNew(t, []kindtest.Sample{
		{"complete", pdbs, `{spec: {minAvailable: 50%, selector: {matchLabels: {a: b}}, unhealthyPodEvictionPolicy: AlwaysAllow}}`, ``},
		{"nothing asked", pdbs, `{}`, ``},
		{"both", pdbs, `{spec: {minAvailable: 1, maxUnavailable: 1}}`, `spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set`},
		{"negative", pdbs, `{spec: {minAvailable: -1}}`, `spec.minAvailable: Invalid value: -1: must be greater than or equal to 0`},
		{"no percentage", pdbs, `{spec: {maxUnavailable: half}}`, `spec.maxUnavailable: Invalid value: "half": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')`},
		{"too much", pdbs, `{spec: {minAvailable: 101%}}`, `spec.minAvailable: Invalid value: "101%": must not be greater than 100%`},
		{"policy", pdbs, `{spec: {unhealthyPodEvictionPolicy: Never}}`, `spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"`},
		{"selector", pdbs, `{spec: {selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}}`, "spec.selector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"},
	})
	kindtest.CheckShown(t, []kindtest.Shown{
		{pdbs, `{spec: {minAvailable: 50%}, status: {disruptionsAllowed: 2}}`, `50% | N/A | 2`},
		{pdbs, `{spec: {maxUnavailable: 1}}`, `N/A | 1 | 0`},
	})
	k := kindtest.Kind(t, pdbs)
	if !k.Versioned {
		t.Error("an update of a budget needs no resourceVersion")
	}
	old := kindtest.Prepare(k, kindtest.Decode(t, k, `{spec: {minAvailable: 1}}`)).(*policyv1.PodDisruptionBudget)
	status := kindtest.Decode(t, k, `{status: {disruptionsAllowed: -1, currentHealthy: -1, conditions: [{type: a, status: Never}]}}`)
	k.PrepareStatusUpdate(status, old)
	if got := status.(*policyv1.PodDisruptionBudget).Spec.MinAvailable; got == nil || got.IntVal != 1 {
		t.Errorf("a status update made minAvailable %v", got)
	}
	kindtest.WantErrors(t, k.ValidateStatusUpdate(status, old),
		`status.conditions[0].status: Unsupported value: "Never": supported values: "False", "True", "Unknown"`,
		`status.conditions[0].lastTransitionTime: Required value`, `status.conditions[0].reason: Required value`,
		`status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0`, `status.currentHealthy: Invalid value: -1: must be greater than or equal to 0`)
}

func TestPriorityClassValidation(t *testing.T) {
	const pc = "priorityclasses.scheduling.k8s.io"
	const reserved = `metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: `
	kindtest.CheckNew(t, []kindtest.Sample{
		{"highest", pc, `{metadata: {name: a}, value: 1000000000}`, ``},
		{"too high", pc, `{metadata: {name: a}, value: 1000000001}`, `value: Forbidden: maximum allowed value of a user defined priority is 1000000000`},
		{"system's", pc, `{metadata: {name: system-cluster-critical}, value: 2000000000}`, ``},
		{"system's, other value", pc, `{metadata: {name: system-cluster-critical}, value: 1}`, reserved + `value of system-cluster-critical PriorityClass must be 2000000000`},
		{"system's, default", pc, `{metadata: {name: system-node-critical}, value: 2000001000, globalDefault: true}`, reserved + `globalDefault of system-node-critical PriorityClass must be false`},
		{"system's name", pc, `{metadata: {name: system-mine}, value: 1}`, reserved + `system-mine is not a known system priority class`},
		{"preemption", pc, `{metadata: {name: a}, preemptionPolicy: Sometimes}`, `preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"`},
	})
	kindtest.CheckChanges(t, []kindtest.Change{
		{"value", pc, `{metadata: {name: a}, value: 1}`, `{metadata: {name: a}, value: 2, preemptionPolicy: Never}`, "value: Forbidden: may not be changed in an update.\npreemptionPolicy: Invalid value: \"Never\": field is immutable"},
		{"description", pc, `{metadata: {name: a}, value: 1}`, `{metadata: {name: a}, value: 1, description: b, globalDefault: true}`, ``},
	})
	kindtest.CheckDefaulted(t, []kindtest.Defaulted{{pc, `{value: 5}`, `{value: 5, preemptionPolicy: PreemptLowerPriority}`}})
	kindtest.CheckShown(t, []kindtest.Shown{{pc, `{value: 5, globalDefault: true, preemptionPolicy: Never}`, `5 | true | Never`}})
	k := kindtest.Kind(t, pc)
	if k.Kept("system-node-critical") != "this is a system priority class and cannot be deleted" || k.Kept("mine") != "" {
		t.Error("the system's classes are kept, and no others")
	}
	obj := kindtest.Decode(t, k, `{metadata: {name: b}, globalDefault: true}`)
	want := `priorityclasses.scheduling.k8s.io "b" is forbidden: PriorityClass a is already marked as default. Only one default can exist`
	if err := k.ClaimTaken(obj, k.Claims(obj)[0], "/a"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRuntimeClassValidation(t *testing.T) {
	const rc = "runtimeclasses.node.k8s.io"
	kindtest.CheckNew(t, []kindtest.Sample{
		{"complete", rc, `{handler: runc, overhead: {podFixed: {cpu: 250m}}, scheduling: {nodeSelector: {a: b}, tolerations: [{key: a, operator: Exists}]}}`, ``},
		{"handler", rc, `{handler: A}`, `handler: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		{"overhead", rc, `{handler: a, overhead: {podFixed: {memory: -1}}}`, `overhead.limits[memory]: Invalid value: "-1": must be greater than or equal to 0`},
		{"toleration twice", rc, `{handler: a, scheduling: {tolerations: [{key: a, operator: Exists}, {key: a, operator: Exists}]}}`, `scheduling.tolerations[1]: Duplicate value: {"key":"a","operator":"Exists"}`},
	})
	kindtest.CheckChanges(t, []kindtest.Change{{"handler", rc, `{handler: a}`, `{handler: b}`, `handler: Invalid value: "b": field is immutable`}})
	kindtest.CheckShown(t, []kindtest.Shown{{rc, `{handler: runc}`, `runc`}})
}
