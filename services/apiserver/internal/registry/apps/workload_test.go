package apps_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

const whoami = `
metadata: {name: whoami, namespace: default, labels: {app: whoami}}
spec:
  selector: {matchLabels: {app: whoami}}
  template:
    metadata: {labels: {app: whoami}}
    spec:
      containers:
      - {name: whoami, image: jwilder/whoami, ports: [{containerPort: 8000}]}
`

func TestDeploymentDefaults(t *testing.T) {
	k := kindtest.Kind(t, "deployments.apps")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, whoami)).(*appsv1.Deployment)
	want := `progressDeadlineSeconds: 600
replicas: 1
revisionHistoryLimit: 10
selector:
  matchLabels:
    app: whoami
strategy:
  rollingUpdate:
    maxSurge: 25%
    maxUnavailable: 25%
  type: RollingUpdate
template:
  metadata:
    labels:
      app: whoami
  spec:
    containers:
    - image: jwilder/whoami
      imagePullPolicy: Always
      name: whoami
      ports:
      - containerPort: 8000
        protocol: TCP
      resources: {}
      terminationMessagePath: /dev/termination-log
      terminationMessagePolicy: File
    dnsPolicy: ClusterFirst
    restartPolicy: Always
    schedulerName: default-scheduler
    securityContext: {}
    terminationGracePeriodSeconds: 30
`
	if got := kindtest.YAML(t, obj.Spec); got != want {
		t.Errorf("spec:\n%s\nwant:\n%s", got, want)
	}
	kindtest.WantErrors(t, kindtest.Validate(k, obj))
}

func TestDeploymentValidation(t *testing.T) {
	const template = `template: {metadata: {labels: {app: w}}, spec: {containers: [{name: a, image: a}]}}`
	const selector = `selector: {matchLabels: {app: w}}`
	tests := []struct{ name, spec, want string }{
		{"no selector", `{` + template + `}`, "spec.selector: Required value\nspec.template.metadata.labels: Invalid value: {\"app\":\"w\"}: `selector` does not match template `labels`"},
		{"empty selector", `{selector: {}, ` + template + `}`, "spec.selector: Invalid value: {}: empty selector is invalid for deployment"},
		{"other labels", `{selector: {matchLabels: {app: x}}, ` + template + `}`, "spec.template.metadata.labels: Invalid value: {\"app\":\"w\"}: `selector` does not match template `labels`"},
		{"negative", `{replicas: -1, ` + selector + `, ` + template + `}`, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		{"no containers", `{` + selector + `, template: {metadata: {labels: {app: w}}, spec: {containers: []}}}`, "spec.template.spec.containers: Required value"},
		{"restart policy", `{` + selector + `, template: {metadata: {labels: {app: w}}, spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}`, `spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"`},
		{"recreate with rolling update", `{strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}, ` + selector + `, ` + template + `}`, "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"},
		{"strategy", `{strategy: {type: Other}, ` + selector + `, ` + template + `}`, `spec.strategy.type: Unsupported value: "Other": supported values: "Recreate", "RollingUpdate"`},
		{"no way on", `{strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: "0%"}}, ` + selector + `, ` + template + `}`, "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"},
		{"too much", `{strategy: {rollingUpdate: {maxUnavailable: "101%"}}, ` + selector + `, ` + template + `}`, `spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%`},
		{"no percentage", `{strategy: {rollingUpdate: {maxSurge: abc}}, ` + selector + `, ` + template + `}`, `spec.strategy.rollingUpdate.maxSurge: Invalid value: "abc": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')`},
		{"deadline", `{minReadySeconds: 700, ` + selector + `, ` + template + `}`, "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"},
		{"hook", `{` + selector + `, template: {metadata: {labels: {app: w}}, spec: {containers: [{name: a, image: a, lifecycle: {preStop: {exec: {command: [a]}}}}]}}}`, "spec.template.spec.containers[0].lifecycle.preStop: Forbidden: not supported by this version of Muster"},
	}
	k := kindtest.Kind(t, "deployments.apps")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{metadata: {name: w, namespace: default}, spec: `+tt.spec+`}`))
			kindtest.WantErrors(t, kindtest.Validate(k, obj), strings.Split(tt.want, "\n")...)
		})
	}
}

func TestDeploymentUpdate(t *testing.T) {
	k := kindtest.Kind(t, "deployments.apps")
	old := kindtest.Prepare(k, kindtest.Decode(t, k, whoami)).(*appsv1.Deployment)
	old.Status.ReadyReplicas = 1
	change := func(f func(*appsv1.Deployment)) *appsv1.Deployment {
		obj := old.DeepCopy()
		f(obj)
		return kindtest.PrepareChange(k, obj, old).(*appsv1.Deployment)
	}
	labelled := change(func(d *appsv1.Deployment) { d.Labels["x"] = "y"; d.Status.ReadyReplicas = 9 })
	if labelled.Generation != 1 || labelled.Status.ReadyReplicas != 1 {
		t.Errorf("after a label: generation %d, %d ready; want 1 and 1", labelled.Generation, labelled.Status.ReadyReplicas)
	}
	if got := change(func(d *appsv1.Deployment) { d.Annotations = map[string]string{"x": "y"} }); got.Generation != 2 {
		t.Errorf("after an annotation: generation %d, want 2", got.Generation)
	}
	if got := change(func(d *appsv1.Deployment) { d.Spec.Paused = true }); got.Generation != 2 {
		t.Errorf("after a pause: generation %d, want 2", got.Generation)
	}
	other := change(func(d *appsv1.Deployment) {
		d.Spec.Selector.MatchLabels = map[string]string{"app": "x"}
		d.Spec.Template.Labels = map[string]string{"app": "x"}
	})
	kindtest.WantErrors(t, kindtest.ValidateChange(k, other, old), `spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable`)

	status := old.DeepCopy()
	status.Spec.Paused, status.Status.Replicas = true, 3
	k.PrepareStatusUpdate(status, old)
	if status.Spec.Paused || status.Status.Replicas != 3 {
		t.Error("a status update changes the status and nothing else")
	}
}

func TestScale(t *testing.T) {
	for _, resource := range []string{"deployments.apps", "replicasets.apps"} {
		k := kindtest.Kind(t, resource)
		obj := kindtest.Prepare(k, kindtest.Decode(t, k, whoami))
		obj.SetResourceVersion("7")
		sub, ok := k.Subresource("scale")
		if !ok {
			t.Fatalf("%s has no scale", resource)
		}
		got, err := sub.Get(obj)
		if err != nil {
			t.Fatal(err)
		}
		scale := got.(*autoscalingv1.Scale)
		if scale.Spec.Replicas != 1 || scale.Status.Selector != "app=whoami" || scale.ResourceVersion != "7" {
			t.Errorf("%s: scale %+v", resource, scale)
		}
		scale.Spec.Replicas = 5
		if err := sub.Apply(obj, scale); err != nil {
			t.Fatal(err)
		}
		if again, _ := sub.Get(obj); again.(*autoscalingv1.Scale).Spec.Replicas != 5 {
			t.Errorf("%s: not scaled", resource)
		}
		scale.Spec.Replicas = -1
		want := `Scale.autoscaling "whoami" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0`
		if err := sub.Apply(obj, scale); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", resource, err, want)
		}
	}
}
