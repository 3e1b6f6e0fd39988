package apps_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

const (
	goodTemplate = `template: {metadata: {labels: {app: w}}, spec: {containers: [{name: a, image: a}]}}`
	goodSelector = `selector: {matchLabels: {app: w}}`
)

func named(spec string) string {
	return `{metadata: {name: w, namespace: default}, spec: ` + spec + `}`
}

func TestControllerDefaults(t *testing.T) {
	for resource, want := range map[string]string{
		"statefulsets.apps": `persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
podManagementPolicy: OrderedReady
replicas: 1
revisionHistoryLimit: 10
updateStrategy: {rollingUpdate: {maxUnavailable: 1, partition: 0}, type: RollingUpdate}`,
		"daemonsets.apps": `revisionHistoryLimit: 10
updateStrategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}, type: RollingUpdate}`,
	} {
		k := kindtest.Kind(t, resource)
		got := kindtest.Prepare(k, kindtest.Decode(t, k, named(`{`+goodSelector+`, `+goodTemplate+`}`)))
		expected := kindtest.Prepare(k, kindtest.Decode(t, k, named(`{`+goodSelector+`, `+goodTemplate+`, `+strings.ReplaceAll(want, "\n", ", ")+`}`)))
		if a, b := kindtest.YAML(t, got), kindtest.YAML(t, expected); a != b || got.GetGeneration() != 1 {
			t.Errorf("%s:\n%s\nwant:\n%s", resource, a, b)
		}
		kindtest.WantErrors(t, kindtest.ValidateNew(k, got))
	}
	k := kindtest.Kind(t, "replicationcontrollers")
	rc := kindtest.Prepare(k, kindtest.Decode(t, k, named(`{`+goodTemplate+`}`))).(*corev1.ReplicationController)
	if *rc.Spec.Replicas != 1 || rc.Spec.Selector["app"] != "w" || rc.Labels["app"] != "w" {
		t.Errorf("replication controller: %s", kindtest.YAML(t, rc))
	}
	if k.DefaultPropagation != metav1.DeletePropagationOrphan {
		t.Errorf("a deletion's default is %s", k.DefaultPropagation)
	}
}

func TestControllerValidation(t *testing.T) {
	const mismatch = "spec.template.metadata.labels: Invalid value: {\"app\":\"w\"}: `selector` does not match template `labels`"
	const restart = `template: {metadata: {labels: {app: w}}, spec: {restartPolicy: Never, activeDeadlineSeconds: 5, containers: [{name: a, image: a}]}}`
	const restartErrors = `spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"` + "\n" +
		"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in "
	kindtest.CheckNew(t, []kindtest.Sample{
		{"good", "statefulsets.apps", named(`{` + goodSelector + `, ` + goodTemplate + `}`), ""},
		{"no selector", "statefulsets.apps", named(`{` + goodTemplate + `}`), "spec.selector: Required value\n" + mismatch},
		{"empty selector", "statefulsets.apps", named(`{selector: {}, ` + goodTemplate + `}`), "spec.selector: Invalid value: {}: empty selector is invalid for statefulset"},
		{"mismatch", "statefulsets.apps", named(`{selector: {matchLabels: {app: x}}, ` + goodTemplate + `}`), mismatch},
		{"restart", "statefulsets.apps", named(`{` + goodSelector + `, ` + restart + `}`), restartErrors + "StatefulSet is not Supported"},
		{"pod management", "statefulsets.apps", named(`{podManagementPolicy: Other, ` + goodSelector + `, ` + goodTemplate + `}`), `spec.podManagementPolicy: Invalid value: "Other": must be 'OrderedReady' or 'Parallel'`},
		{"strategy", "statefulsets.apps", named(`{updateStrategy: {type: Other}, ` + goodSelector + `, ` + goodTemplate + `}`), `spec.updateStrategy: Invalid value: {"type":"Other"}: must be 'RollingUpdate' or 'OnDelete'`},
		{"on delete", "statefulsets.apps", named(`{updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}, ` + goodSelector + `, ` + goodTemplate + `}`),
			`spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy 'RollingUpdate'`},
		{"partition", "statefulsets.apps", named(`{updateStrategy: {rollingUpdate: {partition: -1, maxUnavailable: "0%"}}, ` + goodSelector + `, ` + goodTemplate + `}`),
			"spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0\nspec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": cannot be 0"},
		{"retention", "statefulsets.apps", named(`{persistentVolumeClaimRetentionPolicy: {whenDeleted: Keep}, ` + goodSelector + `, ` + goodTemplate + `}`),
			`spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Keep": supported values: "Delete", "Retain"`},
		{"ordinals", "statefulsets.apps", named(`{ordinals: {start: -1}, ` + goodSelector + `, ` + goodTemplate + `}`), "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"},
		{"service", "statefulsets.apps", named(`{serviceName: a_b, ` + goodSelector + `, ` + goodTemplate + `}`), `spec.serviceName: Invalid value: "a_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		{"claims", "statefulsets.apps", named(`{` + goodSelector + `, template: {metadata: {labels: {app: w}}, spec: {containers: [{name: a, image: a, volumeMounts: [{name: data, mountPath: /d}]}]}}, volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}`), ""},

		{"good", "daemonsets.apps", named(`{` + goodSelector + `, ` + goodTemplate + `}`), ""},
		{"no selector", "daemonsets.apps", named(`{` + goodTemplate + `}`), mismatch},
		{"empty selector", "daemonsets.apps", named(`{selector: {}, ` + goodTemplate + `}`), "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"},
		{"restart", "daemonsets.apps", named(`{` + goodSelector + `, ` + restart + `}`), restartErrors + "DaemonSet is not Supported"},
		{"strategy", "daemonsets.apps", named(`{updateStrategy: {type: Other}, ` + goodSelector + `, ` + goodTemplate + `}`), `spec.updateStrategy.type: Unsupported value: "Other": supported values: "OnDelete", "RollingUpdate"`},
		{"both", "daemonsets.apps", named(`{updateStrategy: {rollingUpdate: {maxSurge: 1}}, ` + goodSelector + `, ` + goodTemplate + `}`), `spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero`},
		{"neither", "daemonsets.apps", named(`{updateStrategy: {rollingUpdate: {maxUnavailable: 0}}, ` + goodSelector + `, ` + goodTemplate + `}`), `spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0`},

		{"good", "replicationcontrollers", named(`{` + goodTemplate + `}`), ""},
		{"nothing", "replicationcontrollers", named(`{}`), "spec.selector: Required value\nspec.template: Required value"},
		{"mismatch", "replicationcontrollers", named(`{selector: {app: x}, ` + goodTemplate + `}`), mismatch},
		{"negative", "replicationcontrollers", named(`{replicas: -1, minReadySeconds: -1, ` + goodTemplate + `}`), "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0\nspec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		{"restart", "replicationcontrollers", named(`{` + restart + `}`), restartErrors + "ReplicationController is not Supported"},

		{"good", "podtemplates", `{metadata: {name: a, namespace: default}, ` + goodTemplate + `}`, ""},
		{"nothing", "podtemplates", `{metadata: {name: a, namespace: default}}`, "template.spec.containers: Required value"},

		{"good", "controllerrevisions.apps", `{metadata: {name: a, namespace: default}, revision: 1, data: {spec: {}}}`, ""},
		{"nothing", "controllerrevisions.apps", `{metadata: {name: a, namespace: default}, revision: -1}`, "data: Required value: data is mandatory\nrevision: Invalid value: -1: must be greater than or equal to 0"},
	})
}

func TestControllerUpdates(t *testing.T) {
	good := named(`{` + goodSelector + `, ` + goodTemplate + `}`)
	kindtest.CheckChanges(t, []kindtest.Change{
		{"replicas", "statefulsets.apps", good, named(`{replicas: 3, minReadySeconds: 1, ordinals: {start: 2}, ` + goodSelector + `, ` + goodTemplate + `}`), ""},
		{"service", "statefulsets.apps", good, named(`{serviceName: x, ` + goodSelector + `, ` + goodTemplate + `}`),
			"spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"},
		{"selector", "daemonsets.apps", good, named(`{selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: [{name: a, image: a}]}}}`),
			`spec.selector: Invalid value: {"matchLabels":{"app":"x"}}: field is immutable`},
		{"data", "controllerrevisions.apps", `{metadata: {name: a, namespace: default}, data: {a: 1}}`, `{metadata: {name: a, namespace: default}, data: {a: 2}}`, `data: Invalid value: {"a":2}: field is immutable`},
	})
	k := kindtest.Kind(t, "daemonsets.apps")
	old := kindtest.Prepare(k, kindtest.Decode(t, k, good)).(*appsv1.DaemonSet)
	if old.Annotations["deprecated.daemonset.template.generation"] != "1" {
		t.Errorf("annotations of a new daemon set: %v", old.Annotations)
	}
	obj := old.DeepCopy()
	obj.Spec.Template.Spec.Containers[0].Image = "b"
	obj.Annotations = nil
	kindtest.PrepareChange(k, obj, old)
	if obj.Generation != 2 || obj.Annotations["deprecated.daemonset.template.generation"] != "2" {
		t.Errorf("after a change of the template: generation %d, annotations %v", obj.Generation, obj.Annotations)
	}
}

func TestControllerStatus(t *testing.T) {
	for _, tt := range []struct{ resource, status, want string }{
		{"statefulsets.apps", `{replicas: 1, readyReplicas: 2, availableReplicas: 3, currentReplicas: -1}`,
			"status.currentReplicas: Invalid value: -1: must be greater than or equal to 0\nstatus.readyReplicas: Invalid value: 2: cannot be greater than status.replicas\n" +
				"status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas\nstatus.availableReplicas: Invalid value: 3: cannot be greater than status.readyReplicas"},
		{"daemonsets.apps", `{currentNumberScheduled: -1, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0, numberUnavailable: -2}`,
			"status.currentNumberScheduled: Invalid value: -1: must be greater than or equal to 0\nstatus.numberUnavailable: Invalid value: -2: must be greater than or equal to 0"},
		{"replicationcontrollers", `{replicas: 1, fullyLabeledReplicas: 2, readyReplicas: 0, availableReplicas: 1}`,
			"status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas\nstatus.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas"},
	} {
		k := kindtest.Kind(t, tt.resource)
		obj := kindtest.Decode(t, k, `{status: `+tt.status+`}`)
		kindtest.WantErrors(t, k.ValidateStatusUpdate(obj, k.New()), kindtest.Lines(tt.want)...)
	}
}

func TestControllerLines(t *testing.T) {
	const created = `metadata: {name: w, creationTimestamp: "2026-11-20T11:55:00Z"}`
	const template = `template: {metadata: {labels: {app: w, b: c}}, spec: {nodeSelector: {disk: ssd}, containers: [{name: a, image: x}, {name: b, image: z}]}}`
	kindtest.CheckLines(t, []kindtest.Sample{
		{"line", "statefulsets.apps", `{` + created + `, spec: {replicas: 3, ` + template + `}, status: {readyReplicas: 2}}`, `["2/3" "5m" "a,b" "x,z"]`},
		{"line", "daemonsets.apps", `{` + created + `, spec: {` + goodSelector + `, ` + template + `}, status: {desiredNumberScheduled: 5, currentNumberScheduled: 4, numberReady: 3, updatedNumberScheduled: 2, numberAvailable: 1}}`,
			`['\x05' '\x04' '\x03' '\x02' '\x01' "disk=ssd" "5m" "a,b" "x,z" "app=w"]`},
		{"line", "replicationcontrollers", `{` + created + `, spec: {replicas: 3, selector: {app: w}, ` + template + `}, status: {replicas: 2, readyReplicas: 1}}`, `['\x03' '\x02' '\x01' "5m" "a,b" "x,z" "app=w"]`},
		{"line", "podtemplates", `{` + created + `, ` + template + `}`, `["a,b" "x,z" "app=w,b=c"]`},
		{"line", "controllerrevisions.apps", `{metadata: {ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: web, controller: true, uid: u}]}, revision: 4}`, `["statefulset.apps/web" '\x04' "<unknown>"]`},
		{"no owner", "controllerrevisions.apps", `{revision: 4}`, `["<none>" '\x04' "<unknown>"]`},
	})
}

func TestScalesOfControllers(t *testing.T) {
	for _, resource := range []string{"statefulsets.apps", "replicationcontrollers"} {
		k := kindtest.Kind(t, resource)
		spec := `{` + goodSelector + `, ` + goodTemplate + `}`
		if resource == "replicationcontrollers" {
			spec = `{` + goodTemplate + `}`
		}
		checkScale(t, k, kindtest.Prepare(k, kindtest.Decode(t, k, named(spec))))
	}
}

func checkScale(t *testing.T, k *registry.Kind, obj registry.Object) {
	t.Helper()
	sub, ok := k.Subresource("scale")
	if !ok {
		t.Fatalf("%s has no scale", k.Resource)
	}
	scale, err := sub.Get(obj)
	if err != nil {
		t.Fatal(err)
	}
	if got := kindtest.YAML(t, scale); !strings.Contains(got, "replicas: 1") || !strings.Contains(got, "selector: app=w") {
		t.Errorf("%s: scale\n%s", k.Resource, got)
	}
}
