package autoscaling_test

import (
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func served(t *testing.T, obj registry.Object, version string) *registry.Kind {
	t.Helper()
	gvk := autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler")
	gvk.Version = version
	k, ok := catalog.New(registry.Options{}).ByKind(gvk)
	if !ok {
		t.Fatalf("no kind %v for %T", gvk, obj)
	}
	return k
}

const scaleWeb = `{metadata: {name: web, namespace: default}, spec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}`

func TestHorizontalPodAutoscalerDefaults(t *testing.T) {
	k := kindtest.Kind(t, "horizontalpodautoscalers.autoscaling")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{metadata: {name: web, namespace: default}, spec: {maxReplicas: 5, behavior: {scaleUp: {selectPolicy: Min}}, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}`))
	want := `behavior:
  scaleDown:
    policies:
    - periodSeconds: 15
      type: Percent
      value: 100
    selectPolicy: Max
  scaleUp:
    policies:
    - periodSeconds: 15
      type: Pods
      value: 4
    - periodSeconds: 15
      type: Percent
      value: 100
    selectPolicy: Min
    stabilizationWindowSeconds: 0
maxReplicas: 5
metrics:
- resource:
    name: cpu
    target:
      averageUtilization: 80
      type: Utilization
  type: Resource
minReplicas: 1
scaleTargetRef:
  apiVersion: apps/v1
  kind: Deployment
  name: web
`
	if got := kindtest.YAML(t, obj.(*autoscalingv2.HorizontalPodAutoscaler).Spec); got != want {
		t.Errorf("spec:\n%s\nwant:\n%s", got, want)
	}
	kindtest.WantErrors(t, kindtest.ValidateNew(k, obj))
}

func TestHorizontalPodAutoscalerValidation(t *testing.T) {
	const ref = `scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}`
	tests := []struct{ name, spec, want string }{
		{"nothing", `{}`, "spec.maxReplicas: Required value\nspec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`\n" +
			"spec.scaleTargetRef.kind: Required value\nspec.scaleTargetRef.name: Required value\n" +
			`spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group`},
		{"no group", `{maxReplicas: 2, scaleTargetRef: {apiVersion: v1, kind: Deployment, name: web}}`, `spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group`},
		{"replication controller", `{maxReplicas: 2, scaleTargetRef: {apiVersion: v1, kind: ReplicationController, name: web}}`, ""},
		{"negative", `{minReplicas: -1, maxReplicas: 2, ` + ref + `}`, "spec.minReplicas: Invalid value: -1: must be greater than or equal to 0"},
		{"zero", `{minReplicas: 0, maxReplicas: 2, ` + ref + `}`, "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas"},
		{"zero by a queue", `{minReplicas: 0, maxReplicas: 2, ` + ref + `, metrics: [{type: External, external: {metric: {name: queue}, target: {type: Value, value: 3}}}]}`, ""},
		{"name", `{maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: ..}}`, `spec.scaleTargetRef.name: Invalid value: "..": may not be '..'`},
		{"type", `{maxReplicas: 2, ` + ref + `, metrics: [{type: Other}]}`, `spec.metrics[0].type: Unsupported value: "Other": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"`},
		{"no source", `{maxReplicas: 2, ` + ref + `, metrics: [{type: Pods}]}`, "spec.metrics[0].pods: Required value: must populate information for the given metric source"},
		{"two sources", `{maxReplicas: 2, ` + ref + `, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 3}}, pods: {metric: {name: a}, target: {type: AverageValue, averageValue: 1}}}]}`,
			"spec.metrics[0].pods: Forbidden: must populate the given metric source only"},
		{"no aim", `{maxReplicas: 2, ` + ref + `, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization}}}]}`,
			"spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization"},
		{"both aims", `{maxReplicas: 2, ` + ref + `, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 0, averageValue: 0}}}]}`,
			`spec.metrics[0].resource.target.averageValue: Invalid value: "0": must be positive` + "\n" +
				"spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0\n" +
				"spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization"},
		{"external", `{maxReplicas: 2, ` + ref + `, metrics: [{type: External, external: {metric: {name: ""}, target: {}}}]}`,
			"spec.metrics[0].external.metric.name: Required value: must specify a metric name\n" +
				"spec.metrics[0].external.target.type: Required value: must specify a metric target type\n" +
				"spec.metrics[0].external.target.type: Invalid value: \"\": must be either Utilization, Value, or AverageValue\n" +
				"spec.metrics[0].external.target.averageValue: Required value: must set either a target value for metric or a per-pod target"},
		{"behavior", `{maxReplicas: 2, ` + ref + `, behavior: {scaleUp: {stabilizationWindowSeconds: 3601, policies: [{type: Pods, value: 0, periodSeconds: 1801}]}, scaleDown: {selectPolicy: Other, policies: []}}}`,
			"spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600\n" +
				"spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero\n" +
				"spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800\n" +
				`spec.behavior.scaleDown.selectPolicy: Unsupported value: "Other": supported values: "Disabled", "Max", "Min"` + "\n" +
				"spec.behavior.scaleDown.policies: Required value: must specify at least one Policy"},
	}
	k := kindtest.Kind(t, "horizontalpodautoscalers.autoscaling")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{metadata: {name: web, namespace: default}, spec: `+tt.spec+`}`))
			kindtest.WantErrors(t, kindtest.ValidateNew(k, obj), kindtest.Lines(tt.want)...)
		})
	}
}

func TestHorizontalPodAutoscalerLine(t *testing.T) {
	k := kindtest.Kind(t, "horizontalpodautoscalers.autoscaling")
	const metrics = `metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}, {type: Object, object: {metric: {name: a}, describedObject: {kind: a, name: b}, target: {type: Value, value: 2k}}}, {type: Pods, pods: {metric: {name: a}, target: {type: AverageValue, averageValue: 3}}}]`
	obj := kindtest.Decode(t, k, `{metadata: {name: web, namespace: default}, spec: {maxReplicas: 5, scaleTargetRef: {kind: Deployment, name: web}, `+metrics+`},
		status: {currentReplicas: 3, currentMetrics: [{type: Resource, resource: {name: cpu, current: {averageUtilization: 12}}}]}}`)
	want := []any{"Deployment/web", "cpu: 12%/80%, <unknown>/2k + 1 more...", "<unset>", int64(5), int64(3), "<unknown>"}
	if got := kindtest.Cells(k, obj, kindtest.Time, true); !apiequality.Semantic.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	v1 := served(t, obj, "v1")
	if got := kindtest.Cells(v1, v1.FromStored(obj), kindtest.Time, true); got[0] != want[0] || len(got) != len(want) {
		t.Errorf("in version 1: got %q, want %q", got, want)
	}
}

// What version 1 has no field for is in its annotations, and comes back from there.
func TestHorizontalPodAutoscalerVersions(t *testing.T) {
	v1, v2 := served(t, nil, "v1"), served(t, nil, "v2")
	plain := v1.ToStored(kindtest.Decode(t, v1, scaleWeb)).(*autoscalingv2.HorizontalPodAutoscaler)
	if got := plain.Spec.Metrics[0].Resource.Target.AverageUtilization; got == nil || *got != 80 || *plain.Spec.MinReplicas != 1 {
		t.Errorf("defaults of version 1: %s", kindtest.YAML(t, plain))
	}
	stored := kindtest.Prepare(v2, kindtest.Decode(t, v2, `{metadata: {name: web, namespace: default, annotations: {mine: a}}, spec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, behavior: {scaleDown: {tolerance: 50m}},
		metrics: [
		{type: Object, object: {metric: {name: a, selector: {matchLabels: {b: c}}}, describedObject: {kind: a, name: b}, target: {type: AverageValue, averageValue: 2k, value: 3}}},
		{type: Pods, pods: {metric: {name: a}, target: {type: AverageValue, averageValue: 3}}},
		{type: External, external: {metric: {name: e}, target: {type: Value, value: 7}}},
		{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1Gi}}},
		{type: ContainerResource, containerResource: {name: cpu, container: c, target: {type: Utilization, averageUtilization: 50}}},
		{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}}`)).(*autoscalingv2.HorizontalPodAutoscaler)
	stored.Status = kindtest.Decode(t, v2, `{status: {currentReplicas: 2, desiredReplicas: 3,
		currentMetrics: [{type: Resource, resource: {name: cpu, current: {averageUtilization: 12, averageValue: 120m}}}],
		conditions: [{type: AbleToScale, status: "True", reason: a, message: b}]}}`).(*autoscalingv2.HorizontalPodAutoscaler).Status
	seen := v1.FromStored(stored.DeepCopy()).(*autoscalingv1.HorizontalPodAutoscaler)
	if p := seen.Spec.TargetCPUUtilizationPercentage; p == nil || *p != 60 || *seen.Status.CurrentCPUUtilizationPercentage != 12 {
		t.Errorf("version 1: %s", kindtest.YAML(t, seen))
	}
	for name, part := range map[string]string{
		"metrics":         `{"type":"Pods","pods":{"metricName":"a","targetAverageValue":"3"}}`,
		"behavior":        `"ScaleDown":{"StabilizationWindowSeconds":null,"SelectPolicy":"Max","Policies":[{"Type":"Percent","Value":100,"PeriodSeconds":15}],"Tolerance":"50m"}`,
		"current-metrics": `[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":12,"currentAverageValue":"120m"}}]`,
		"conditions":      `[{"type":"AbleToScale","status":"True","lastTransitionTime":null,"reason":"a","message":"b"}]`,
	} {
		if got := seen.Annotations["autoscaling.alpha.kubernetes.io/"+name]; !strings.Contains(got, part) {
			t.Errorf("annotation %s: %s, want %s", name, got, part)
		}
	}
	back := v1.ToStored(seen)
	back.GetObjectKind().SetGroupVersionKind(stored.GroupVersionKind())
	if !apiequality.Semantic.DeepEqual(back, stored) {
		t.Errorf("there and back: %s", diff.Diff(stored, back))
	}
}
