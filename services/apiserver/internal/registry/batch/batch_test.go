package batch_test

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

// ends is a template of pods that end.
const ends = `template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}`

// newJob is a job as it is validated: with its UID and what is generated from it.
func newJob(t *testing.T, spec string) *batchv1.Job {
	t.Helper()
	k := kindtest.Kind(t, "jobs.batch")
	obj := kindtest.Decode(t, k, `{metadata: {name: w, namespace: default, uid: u-1}, spec: `+spec+`}`)
	kindtest.Prepare(k, obj)
	if err := k.Allocate(obj, nil, kindtest.Claimed{}.Taken, kindtest.First); err != nil {
		t.Fatal(err)
	}
	return obj.(*batchv1.Job)
}

func TestJobDefaults(t *testing.T) {
	obj := newJob(t, `{`+ends+`}`)
	want := `backoffLimit: 6
completionMode: NonIndexed
completions: 1
manualSelector: false
parallelism: 1
podReplacementPolicy: TerminatingOrFailed
selector:
  matchLabels:
    batch.kubernetes.io/controller-uid: u-1
suspend: false
template:
  metadata:
    labels:
      batch.kubernetes.io/controller-uid: u-1
      batch.kubernetes.io/job-name: w
      controller-uid: u-1
      job-name: w
`
	if got, _, _ := strings.Cut(kindtest.YAML(t, obj.Spec), "  spec:\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	k := kindtest.Kind(t, "jobs.batch")
	kindtest.WantErrors(t, kindtest.ValidateNew(k, obj))
	if k.DefaultPropagation != metav1.DeletePropagationOrphan || k.DeleteWarning == "" {
		t.Error("a job's deletion keeps its pods, and says so")
	}
	indexed := newJob(t, `{completionMode: Indexed, parallelism: 2, completions: 5, backoffLimitPerIndex: 1, podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}, `+ends+`}`)
	if *indexed.Spec.BackoffLimit != 1<<31-1 || *indexed.Spec.PodReplacementPolicy != batchv1.Failed || indexed.Spec.PodFailurePolicy.Rules[0].OnPodConditions[0].Status != corev1.ConditionTrue {
		t.Errorf("indexed job: %s", kindtest.YAML(t, indexed.Spec))
	}
	kindtest.WantErrors(t, kindtest.ValidateNew(k, indexed))
	queue := newJob(t, `{parallelism: 2, `+ends+`}`)
	if queue.Spec.Completions != nil {
		t.Error("a parallel job without completions got some")
	}
}

func TestJobValidation(t *testing.T) {
	const rule = `podFailurePolicy: {rules: [`
	const indexed = `completionMode: Indexed, completions: 5, parallelism: 2, `
	tests := []struct{ name, spec, want string }{
		{"restart", `{template: {spec: {containers: [{name: a, image: a}]}}}`, `spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`},
		{"negative", `{parallelism: -1, completions: -1, backoffLimit: -1, ttlSecondsAfterFinished: -1, activeDeadlineSeconds: -1, ` + ends + `}`,
			"spec.parallelism: Invalid value: -1: must be greater than or equal to 0\nspec.completions: Invalid value: -1: must be greater than or equal to 0\nspec.backoffLimit: Invalid value: -1: must be greater than or equal to 0\nspec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0\nspec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0"},
		{"label", `{template: {metadata: {labels: {job-name: x}}, spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}`,
			`spec.template.metadata.labels[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"u-1","batch.kubernetes.io/job-name":"w","controller-uid":"u-1","job-name":"x"}: must be 'w'`},
		{"selector", `{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}`,
			"spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u-1\"}}: `selector` not auto-generated"},
		{"manual", `{manualSelector: true, selector: {matchLabels: {a: b}}, ` + ends + `}`, "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"},
		{"mode", `{completionMode: Other, ` + ends + `}`, `spec.completionMode: Unsupported value: "Other": supported values: "NonIndexed", "Indexed"`},
		{"indexed", `{completionMode: Indexed, parallelism: 100001, ` + ends + `}`,
			"spec.completions: Required value: when completion mode is Indexed\nspec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed"},
		{"not indexed", `{backoffLimitPerIndex: 1, maxFailedIndexes: 1, successPolicy: {rules: [{succeededCount: 1}]}, ` + ends + `}`,
			"spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode\nspec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode\n" +
				`spec.successPolicy: Invalid value: {"rules":[{"succeededCount":1}]}: requires indexed completion mode`},
		{"failed indexes", `{` + indexed + `maxFailedIndexes: 6, ` + ends + `}`,
			"spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified\nspec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"},
		{"many", `{completionMode: Indexed, completions: 100001, parallelism: 10001, backoffLimitPerIndex: 1, ` + ends + `}`,
			"spec.maxFailedIndexes: Required value: must be specified when completions is above 100000\nspec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"},
		{"managed by", `{managedBy: other, ` + ends + `}`, `spec.managedBy: Invalid value: "other": must be a domain-prefixed path (such as "acme.io/foo")`},
		{"replacement", `{podReplacementPolicy: Other, ` + ends + `}`, `spec.podReplacementPolicy: Unsupported value: "Other": supported values: "Failed", "TerminatingOrFailed"`},
		{"failure policy", `{` + rule + `{action: FailJob}, {action: Other, onExitCodes: {operator: In, containerName: x, values: [3, 0, 3]}}, {onExitCodes: {values: []}, onPodConditions: [{type: A, status: Maybe}]}]}, ` + ends + `}`,
			"spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required\n" +
				`spec.podFailurePolicy.rules[1].action: Unsupported value: "Other": supported values: "Count", "FailIndex", "FailJob", "Ignore"` + "\n" +
				`spec.podFailurePolicy.rules[1].onExitCodes.containerName: Invalid value: "x": must be one of the container or initContainer names in the pod template` + "\n" +
				"spec.podFailurePolicy.rules[1].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator\n" +
				"spec.podFailurePolicy.rules[1].onExitCodes.values[2]: Duplicate value: 3\n" +
				"spec.podFailurePolicy.rules[1].onExitCodes.values: Invalid value: [3,0,3]: must be ordered\n" +
				`spec.podFailurePolicy.rules[2].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]` + "\n" +
				`spec.podFailurePolicy.rules[2].onExitCodes.operator: Required value: valid values: ["In" "NotIn"]` + "\n" +
				"spec.podFailurePolicy.rules[2].onExitCodes.values: Invalid value: []: at least one value is required\n" +
				`spec.podFailurePolicy.rules[2].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"` + "\n" +
				"spec.podFailurePolicy.rules[2]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"},
		{"restart with a policy", `{` + rule + `{action: Ignore, onExitCodes: {operator: In, values: [1]}}]}, template: {spec: {restartPolicy: OnFailure, containers: [{name: a, image: a}]}}}`,
			`spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified`},
		{"success policy", `{` + indexed + `successPolicy: {rules: [{}, {succeededIndexes: "0-2,4", succeededCount: 5}, {succeededIndexes: "3,1"}, {succeededIndexes: "1-9"}, {succeededIndexes: "1-2-3"}, {succeededIndexes: a}]}, ` + ends + `}`,
			"spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified\n" +
				"spec.successPolicy.rules[1].succeededCount: Invalid value: 5: must be less than or equal to 4 (the number of indexes in the specified succeededIndexes field)\n" +
				`spec.successPolicy.rules[2].succeededIndexes: Invalid value: "3,1": error parsing succeededIndexes: non-increasing order, previous: 3, current: 1` + "\n" +
				`spec.successPolicy.rules[3].succeededIndexes: Invalid value: "1-9": error parsing succeededIndexes: too large index: "9"` + "\n" +
				`spec.successPolicy.rules[4].succeededIndexes: Invalid value: "1-2-3": error parsing succeededIndexes: the fragment "1-2-3" violates the requirement that an index interval can have at most two parts separated by '-'` + "\n" +
				`spec.successPolicy.rules[5].succeededIndexes: Invalid value: "a": error parsing succeededIndexes: cannot convert string to integer for index: "a"`},
	}
	k := kindtest.Kind(t, "jobs.batch")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kindtest.WantErrors(t, kindtest.ValidateNew(k, newJob(t, tt.spec)), kindtest.Lines(tt.want)...)
		})
	}
}

func TestJobUpdate(t *testing.T) {
	k := kindtest.Kind(t, "jobs.batch")
	place := func(obj *batchv1.Job) {
		obj.Spec.Template.Spec.NodeSelector = map[string]string{"a": "b"}
		obj.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
	}
	for _, tt := range []struct {
		name, spec string
		f          func(obj *batchv1.Job)
		want       string // what the errors begin with
	}{
		{"suspend", `{` + ends + `}`, func(obj *batchv1.Job) { obj.Spec.Suspend = new(true) }, ""},
		{"completions", `{` + ends + `}`, func(obj *batchv1.Job) { obj.Spec.Completions = new(int32(2)) }, "spec.completions: Invalid value: 2: field is immutable"},
		{"elastic", `{completionMode: Indexed, completions: 2, parallelism: 2, ` + ends + `}`, func(obj *batchv1.Job) { obj.Spec.Completions, obj.Spec.Parallelism = new(int32(3)), new(int32(3)) }, ""},
		{"not in tandem", `{completionMode: Indexed, completions: 2, parallelism: 2, ` + ends + `}`, func(obj *batchv1.Job) { obj.Spec.Completions = new(int32(3)) }, "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"},
		{"place", `{` + ends + `}`, place, "spec.template: Invalid value: "},
		{"place while suspended", `{suspend: true, ` + ends + `}`, place, ""},
		{"resources while suspended", `{suspend: true, ` + ends + `}`, func(obj *batchv1.Job) {
			obj.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")}
		}, ""},
		{"image while suspended", `{suspend: true, ` + ends + `}`, func(obj *batchv1.Job) { obj.Spec.Template.Spec.Containers[0].Image = "b" }, "spec.template: Invalid value: "},
		{"managed by", `{` + ends + `}`, func(obj *batchv1.Job) { obj.Spec.ManagedBy = new("a.io/b") }, `spec.managedBy: Invalid value: "a.io/b": field is immutable`},
	} {
		old := newJob(t, tt.spec)
		obj := old.DeepCopy()
		tt.f(obj)
		errs := kindtest.ValidateChange(k, kindtest.PrepareChange(k, obj, old), old)
		switch {
		case tt.want == "" && len(errs) > 0, tt.want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tt.want)):
			t.Errorf("%s: got %v, want %s", tt.name, errs, tt.want)
		}
	}
}

func TestJobStatus(t *testing.T) {
	const done = `startTime: "2026-11-20T11:00:00Z", completionTime: "2026-11-20T11:30:00Z", conditions: [{type: SuccessCriteriaMet, status: "True"}, {type: Complete, status: "True"}]`
	k := kindtest.Kind(t, "jobs.batch")
	for _, tt := range []struct{ name, old, status, want string }{
		{"done", `{}`, `{succeeded: 1, ` + done + `}`, ""},
		{"failed", `{}`, `{conditions: [{type: Failed, status: "True"}], active: 1}`,
			"status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition\nstatus.active: Invalid value: 1: active>0 is invalid for finished job\nstatus.startTime: Required value: startTime is required for finished job"},
		{"incomplete", `{}`, `{conditions: [{type: Complete, status: "True"}], startTime: "2026-11-20T11:00:00Z"}`,
			"status.completionTime: Required value: completionTime is required for Complete jobs\nstatus.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
		{"undone", `{` + done + `}`, `{startTime: "2026-11-20T11:00:00Z"}`,
			"status.conditions: Invalid value: cannot disable the terminal Complete=True condition\nstatus.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition"},
		{"counters", `{failed: 2, succeeded: 2, active: 1}`, `{failed: 1, succeeded: 1, ready: 1}`,
			"status.ready: Invalid value: 1: cannot set more ready pods than active\nstatus.failed: Invalid value: 1: cannot decrease the failed counter\nstatus.succeeded: Invalid value: 1: cannot decrease the succeeded counter"},
		{"indexes", `{}`, `{completedIndexes: "0", failedIndexes: "0"}`,
			`status.failedIndexes: Invalid value: "0": failedIndexes and completedIndexes overlap at index: 0` + "\n" +
				`status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode` + "\n" +
				`status.failedIndexes: Invalid value: "0": cannot set non-null failedIndexes when backoffLimitPerIndex is null`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old, obj := newJob(t, `{`+ends+`}`), newJob(t, `{`+ends+`}`)
			old.Status = kindtest.Decode(t, k, `{status: `+tt.old+`}`).(*batchv1.Job).Status
			obj.Status = kindtest.Decode(t, k, `{status: `+tt.status+`}`).(*batchv1.Job).Status
			kindtest.WantErrors(t, k.ValidateStatusUpdate(obj, old), kindtest.Lines(tt.want)...)
		})
	}
}

func TestCronJobs(t *testing.T) {
	cron := func(spec string) string {
		return `{metadata: {name: w, namespace: default}, spec: {` + spec + `, jobTemplate: {spec: {` + ends + `}}}}`
	}
	const schedule = `schedule: "*/5 * * * *"`
	kindtest.CheckNew(t, []kindtest.Sample{
		{"good", "cronjobs.batch", cron(schedule + `, timeZone: Europe/Berlin`), ""},
		{"words", "cronjobs.batch", cron(`schedule: "@hourly"`), ""},
		{"nothing", "cronjobs.batch", `{metadata: {name: w}}`, "spec.schedule: Required value\nspec.jobTemplate.spec.template.spec.containers: Required value\n" +
			`spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`},
		{"fields", "cronjobs.batch", cron(`schedule: "* * * *"`), `spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]`},
		{"range", "cronjobs.batch", cron(`schedule: "61 * * * *"`), `spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61`},
		{"zone in it", "cronjobs.batch", cron(`schedule: "TZ=UTC 1 * * * *"`), `spec.schedule: Invalid value: "TZ=UTC 1 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead`},
		{"a zone alone", "cronjobs.batch", cron(`schedule: "TZ=0"`), `spec.schedule: Invalid value: "TZ=0": cannot use TZ or CRON_TZ in schedule, use timeZone field instead`},
		{"zone", "cronjobs.batch", cron(schedule + `, timeZone: Nowhere/Else`), `spec.timeZone: Invalid value: "Nowhere/Else": unknown time zone Nowhere/Else`},
		{"local", "cronjobs.batch", cron(schedule + `, timeZone: Local`), `spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones`},
		{"no zone", "cronjobs.batch", cron(schedule + `, timeZone: ""`), `spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string`},
		{"policy", "cronjobs.batch", cron(schedule + `, concurrencyPolicy: Other`), `spec.concurrencyPolicy: Unsupported value: "Other": supported values: "Allow", "Forbid", "Replace"`},
		{"selector", "cronjobs.batch", `{metadata: {name: w}, spec: {` + schedule + `, jobTemplate: {spec: {manualSelector: true, selector: {}, ` + ends + `}}}}`,
			"spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated\n" + `spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"`},
		{"name", "cronjobs.batch", strings.Replace(cron(schedule), "name: w", "name: "+strings.Repeat("w", 53), 1), `metadata.name: Invalid value: "` + strings.Repeat("w", 53) + `": must be no more than 52 characters`},
	})
	k := kindtest.Kind(t, "cronjobs.batch")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, cron(schedule))).(*batchv1.CronJob)
	if s := obj.Spec; s.ConcurrencyPolicy != batchv1.AllowConcurrent || *s.Suspend || *s.SuccessfulJobsHistoryLimit != 3 || *s.FailedJobsHistoryLimit != 1 || obj.Generation != 1 {
		t.Errorf("defaults: %s", kindtest.YAML(t, obj))
	}
	old := obj.DeepCopy()
	old.Spec.Schedule = "CRON_TZ=UTC 1 * * * *"
	same := kindtest.PrepareChange(k, old.DeepCopy(), old).(*batchv1.CronJob)
	kindtest.WantErrors(t, kindtest.ValidateChange(k, same, old))
	same.Spec.TimeZone = new("UTC")
	kindtest.WantErrors(t, kindtest.ValidateChange(k, same, old), `spec.schedule: Invalid value: "CRON_TZ=UTC 1 * * * *": cannot use both timeZone field and TZ or CRON_TZ in schedule`)
}

func TestJobLines(t *testing.T) {
	const created = `metadata: {creationTimestamp: "2026-11-20T11:55:00Z"}`
	const started = `startTime: "2026-11-20T11:56:00Z"`
	const template = `template: {spec: {containers: [{name: a, image: x}]}}`
	condition := func(t string) string { return `conditions: [{type: ` + t + `, status: "True"}]` }
	kindtest.CheckLines(t, []kindtest.Sample{
		{"running", "jobs.batch", `{` + created + `, spec: {completions: 3, selector: {matchLabels: {a: b}}, ` + template + `}, status: {succeeded: 1, ` + started + `}}`, `["Running" "1/3" "4m" "5m" "a" "x" "a=b"]`},
		{"complete", "jobs.batch", `{` + created + `, spec: {parallelism: 2, ` + template + `}, status: {succeeded: 2, ` + started + `, completionTime: "2026-11-20T11:56:30Z", ` + condition("Complete") + `}}`, `["Complete" "2/1 of 2" "30s" "5m" "a" "x" "<none>"]`},
		{"suspended", "jobs.batch", `{` + created + `, spec: {parallelism: 1, ` + template + `}, status: {` + condition("Suspended") + `}}`, `["Suspended" "0/1" "" "5m" "a" "x" "<none>"]`},
		{"failed", "jobs.batch", `{` + created + `, spec: {completions: 1, ` + template + `}, status: {` + condition("Failed") + `}}`, `["Failed" "0/1" "" "5m" "a" "x" "<none>"]`},
		{"line", "cronjobs.batch", `{` + created + `, spec: {schedule: "@daily", suspend: true, timeZone: UTC, jobTemplate: {spec: {` + template + `}}}, status: {active: [{name: a}], lastScheduleTime: "2026-11-20T11:58:00Z"}}`,
			`["@daily" "UTC" "True" '\x01' "2m" "5m" "a" "x" "<none>"]`},
		{"new", "cronjobs.batch", `{` + created + `, spec: {schedule: "@daily", jobTemplate: {spec: {` + template + `}}}}`, `["@daily" "<none>" "<unset>" '\x00' "<none>" "5m" "a" "x" "<none>"]`},
	})
}
