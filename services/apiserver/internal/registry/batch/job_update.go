package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

func validateJobUpdate(obj, old *batchv1.Job) field.ErrorList {
	path, spec, before := field.NewPath("spec"), &obj.Spec, &old.Spec
	errs := validateCompletionsUpdate(spec, before, path.Child("completions"))
	for _, f := range []struct {
		field    string
		now, was any
	}{
		{"selector", spec.Selector, before.Selector},
		{"template", &spec.Template, fixedTemplate(obj, old)},
		{"completionMode", spec.CompletionMode, before.CompletionMode},
		{"podFailurePolicy", spec.PodFailurePolicy, before.PodFailurePolicy},
		{"backoffLimitPerIndex", spec.BackoffLimitPerIndex, before.BackoffLimitPerIndex},
		{"managedBy", spec.ManagedBy, before.ManagedBy},
		{"successPolicy", spec.SuccessPolicy, before.SuccessPolicy},
	} {
		errs = append(errs, apivalidation.ValidateImmutableField(f.now, f.was, path.Child(f.field))...)
	}
	return errs
}

// validateCompletionsUpdate: an indexed job grows and shrinks as a whole.
func validateCompletionsUpdate(spec, before *batchv1.JobSpec, path *field.Path) field.ErrorList {
	switch {
	case !indexed(spec):
		return apivalidation.ValidateImmutableField(spec.Completions, before.Completions, path)
	case spec.Completions == nil || check.Equal(spec.Completions, before.Completions):
		return nil // That there are none is refused already.
	case *spec.Completions != ptr.Deref(spec.Parallelism, 0):
		return field.ErrorList{field.Invalid(path, *spec.Completions, fmt.Sprintf("can only be modified in tandem with %s", path.Root().Child("parallelism")))}
	}
	return nil
}

// fixedTemplate is the old template with what may change of it as it is now: where
// the pods of a job run, and what they take, may be decided while it is suspended and
// has none.
func fixedTemplate(obj, old *batchv1.Job) *corev1.PodTemplateSpec {
	stopped := hasCondition(old, batchv1.JobSuspended) && old.Status.Active == 0
	if !ptr.Deref(old.Spec.Suspend, false) || old.Status.StartTime != nil && !stopped {
		return &old.Spec.Template
	}
	now, fixed := &obj.Spec.Template, old.Spec.Template.DeepCopy()
	fixed.Labels, fixed.Annotations = now.Labels, now.Annotations
	fixed.Spec.NodeSelector, fixed.Spec.Tolerations = now.Spec.NodeSelector, now.Spec.Tolerations
	fixed.Spec.SchedulingGates = now.Spec.SchedulingGates
	switch to := now.Spec.Affinity; {
	case to != nil:
		registry.OrDefault(&fixed.Spec.Affinity, corev1.Affinity{})
		fixed.Spec.Affinity.NodeAffinity = to.NodeAffinity
	case fixed.Spec.Affinity != nil:
		fixed.Spec.Affinity.NodeAffinity = nil
		if *fixed.Spec.Affinity == (corev1.Affinity{}) {
			fixed.Spec.Affinity = nil
		}
	}
	keepResources(fixed.Spec.Containers, now.Spec.Containers)
	keepResources(fixed.Spec.InitContainers, now.Spec.InitContainers)
	return fixed
}

func keepResources(fixed, now []corev1.Container) {
	for i := range min(len(fixed), len(now)) {
		fixed[i].Resources.Limits, fixed[i].Resources.Requests = now[i].Resources.Limits, now[i].Resources.Requests
	}
}

// rule is one that a status keeps to: what is said of a field when it is broken.
type statusRule struct {
	broken bool
	field  string
	value  any // nil where it is left out
	msg    string
}

func broken(path *field.Path, rules []statusRule) field.ErrorList {
	var errs field.ErrorList
	for _, r := range rules {
		if !r.broken {
			continue
		}
		if r.value == nil {
			r.value = field.OmitValueType{}
		}
		errs = append(errs, field.Invalid(path.Child(r.field), r.value, r.msg))
	}
	return errs
}

// validateJobStatus holds whoever writes a job's status, which may be another
// controller than ours, to what clients rely on.
func validateJobStatus(obj, old *batchv1.Job) field.ErrorList {
	path, s, was := field.NewPath("status"), &obj.Status, &old.Status
	errs := workload.NotNegative(path, workload.CountOf("active", s.Active), workload.CountOf("succeeded", s.Succeeded), workload.CountOf("failed", s.Failed),
		workload.CountOf("ready", ptr.Deref(s.Ready, 0)), workload.CountOf("terminating", ptr.Deref(s.Terminating, 0)))
	if u := s.UncountedTerminatedPods; u != nil {
		seen := map[types.UID]bool{}
		errs = append(errs, validateUncounted(u.Succeeded, seen, path.Child("uncountedTerminatedPods", "succeeded"))...)
		errs = append(errs, validateUncounted(u.Failed, seen, path.Child("uncountedTerminatedPods", "failed"))...)
	}
	errs = append(errs, validateJobEnd(obj, path)...)
	errs = append(errs, validateJobIndexes(obj, old, path)...)

	is := func(t batchv1.JobConditionType) bool { return hasCondition(obj, t) }
	had := func(t batchv1.JobConditionType) bool { return hasCondition(old, t) }
	var rules []statusRule
	for _, t := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobComplete, batchv1.JobFailureTarget} {
		rules = append(rules, statusRule{had(t) && !is(t), "conditions", nil, fmt.Sprintf("cannot disable the terminal %s=True condition", t)})
	}
	elastic := indexed(&obj.Spec) && ptr.Equal(obj.Spec.Completions, obj.Spec.Parallelism)
	errs = append(errs, broken(path, append(rules,
		statusRule{s.Failed < was.Failed, "failed", s.Failed, "cannot decrease the failed counter"},
		statusRule{s.Succeeded < was.Succeeded && !elastic, "succeeded", s.Succeeded, "cannot decrease the succeeded counter"},
		statusRule{s.CompletionTime != nil && was.CompletionTime != nil && !s.CompletionTime.Equal(was.CompletionTime), "completionTime", s.CompletionTime, "completionTime cannot be mutated"},
	))...)
	if was.StartTime != nil && !was.StartTime.Equal(s.StartTime) && !ptr.Deref(obj.Spec.Suspend, false) {
		errs = append(errs, field.Required(path.Child("startTime"), "startTime cannot be removed for unsuspended job"))
	}
	met := batchv1.JobSuccessCriteriaMet
	return append(errs, broken(path, []statusRule{
		{had(met) && !is(met), "conditions", nil, "cannot disable the SuccessCriteriaMet=True condition"},
		{had(batchv1.JobComplete) && !had(met) && is(met), "conditions", nil, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"},
	})...)
}

func validateUncounted(uids []types.UID, seen map[types.UID]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, uid := range uids {
		switch {
		case uid == "":
			errs = append(errs, field.Invalid(path.Index(i), uid, "must not be empty"))
		case seen[uid]:
			errs = append(errs, field.Duplicate(path.Index(i), uid))
		}
		seen[uid] = true
	}
	return errs
}

// validateJobEnd checks that a job that is over says one thing.
func validateJobEnd(obj *batchv1.Job, path *field.Path) field.ErrorList {
	s := &obj.Status
	complete, failed := hasCondition(obj, batchv1.JobComplete), hasCondition(obj, batchv1.JobFailed)
	failing, met := hasCondition(obj, batchv1.JobFailureTarget), hasCondition(obj, batchv1.JobSuccessCriteriaMet)
	over := complete || failed
	errs := broken(path, []statusRule{
		{complete && failed, "conditions", nil, "cannot set Complete=True and Failed=true conditions"},
		{complete && failing, "conditions", nil, "cannot set Complete=True and FailureTarget=true conditions"},
		{s.CompletionTime != nil && !complete, "completionTime", s.CompletionTime, "cannot set completionTime when there is no Complete=True condition"},
	})
	if s.CompletionTime == nil && complete {
		errs = append(errs, field.Required(path.Child("completionTime"), "completionTime is required for Complete jobs"))
	}
	errs = append(errs, broken(path, []statusRule{
		{s.StartTime != nil && s.CompletionTime != nil && s.CompletionTime.Before(s.StartTime), "completionTime", s.CompletionTime, "completionTime cannot be set before startTime"},
		{failed && !failing, "conditions", nil, "cannot set Failed=True condition without the FailureTarget=true condition"},
		{complete && !met, "conditions", nil, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
		{over && s.Active > 0, "active", s.Active, "active>0 is invalid for finished job"},
	})...)
	never := ptr.Deref(obj.Spec.Suspend, false) && obj.Spec.Completions != nil && *obj.Spec.Completions == 0
	if over && s.StartTime == nil && !never {
		errs = append(errs, field.Required(path.Child("startTime"), "startTime is required for finished job"))
	}
	u := s.UncountedTerminatedPods
	return append(errs, broken(path, []statusRule{
		{over && u != nil && len(u.Failed)+len(u.Succeeded) > 0, "uncountedTerminatedPods", u, "uncountedTerminatedPods needs to be empty for finished job"},
		{over && ptr.Deref(s.Terminating, 0) > 0, "terminating", s.Terminating, "terminating>0 is invalid for finished job"},
		{ptr.Deref(s.Ready, 0) > s.Active, "ready", ptr.Deref(s.Ready, 0), "cannot set more ready pods than active"},
		{met && failed, "conditions", nil, "cannot set SuccessCriteriaMet=True and Failed=true conditions"},
		{met && failing, "conditions", nil, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
		{obj.Spec.SuccessPolicy != nil && !met && complete, "conditions", nil, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"},
	})...)
}

// validateJobIndexes looks at the indexes where they change: a job that shrinks keeps
// those that are no more.
func validateJobIndexes(obj, old *batchv1.Job, path *field.Path) field.ErrorList {
	spec, s := &obj.Spec, &obj.Status
	completed, failed := s.CompletedIndexes, ptr.Deref(s.FailedIndexes, "")
	if completed == old.Status.CompletedIndexes && ptr.Equal(s.FailedIndexes, old.Status.FailedIndexes) {
		return nil
	}
	var errs field.ErrorList
	if spec.Completions != nil {
		done, err := parseIndexes(completed, *spec.Completions)
		if err != nil {
			errs = append(errs, field.Invalid(path.Child("completedIndexes"), completed, "error parsing completedIndexes: "+err.Error()))
		}
		lost, err := parseIndexes(failed, *spec.Completions)
		if err != nil {
			errs = append(errs, field.Invalid(path.Child("failedIndexes"), failed, "error parsing failedIndexes: "+err.Error()))
		}
		if i, both := overlap(done, lost); both {
			errs = append(errs, field.Invalid(path.Child("failedIndexes"), failed, fmt.Sprintf("failedIndexes and completedIndexes overlap at index: %d", i)))
		}
	}
	return append(errs, broken(path, []statusRule{
		{completed != "" && !indexed(spec), "completedIndexes", completed, "cannot set non-empty completedIndexes when non-indexed completion mode"},
		{spec.BackoffLimitPerIndex == nil && s.FailedIndexes != nil, "failedIndexes", failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"},
	})...)
}

// overlap finds the first index in both lists, which are in order.
func overlap(a, b []interval) (int32, bool) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].last < b[0].first:
			a = a[1:]
		case b[0].last < a[0].first:
			b = b[1:]
		default:
			return max(a[0].first, b[0].first), true
		}
	}
	return 0, false
}
