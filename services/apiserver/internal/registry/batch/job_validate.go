package batch

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// Bounds of indexed jobs, whose status lists indexes.
const (
	mostParallel       = 100_000
	mostFailedIndexes  = 100_000
	manyCompletions    = 100_000
	parallelForMany    = 10_000
	failedForMany      = 10_000
	longestManagedBy   = 63
	longestIndexes     = 64 * 1024
	mostPolicyRules    = 20
	mostExitCodes      = 255
	mostPodConditions  = 20
	longestCronJobName = validation.DNS1035LabelMaxLength - 11 // room for what the controller appends
)

func validateJob(obj *batchv1.Job) field.ErrorList {
	errs := validateGeneratedSelector(obj)
	path, spec := field.NewPath("spec"), &obj.Spec
	errs = append(errs, validateJobSpec(spec, path)...)
	if spec.Selector == nil {
		errs = append(errs, field.Required(path.Child("selector"), ""))
	} else {
		errs = append(errs, metav1validation.ValidateLabelSelector(spec.Selector, metav1validation.LabelSelectorValidationOptions{}, path.Child("selector"))...)
	}
	if selector, err := metav1.LabelSelectorAsSelector(spec.Selector); err == nil && !selector.Matches(labels.Set(spec.Template.Labels)) {
		errs = append(errs, field.Invalid(path.Child("template", "metadata", "labels"), spec.Template.Labels, workload.SelectorMismatch))
	}
	if indexed(spec) && ptr.Deref(spec.Completions, 0) > 0 {
		last := fmt.Sprintf("%s-%d", obj.Name, *spec.Completions-1) // the longest host name
		if len(validation.IsDNS1123Label(last)) > 0 {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), obj.Name, "will not able to create pod with invalid DNS label: "+last))
		}
	}
	return errs
}

func indexed(spec *batchv1.JobSpec) bool {
	return ptr.Deref(spec.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion
}

// validateGeneratedSelector checks that the user gave no labels in the way of those
// that are generated.
func validateGeneratedSelector(obj *batchv1.Job) field.ErrorList {
	if ptr.Deref(obj.Spec.ManualSelector, false) || obj.Spec.Selector == nil {
		return nil
	}
	var errs field.ErrorList
	if obj.UID == "" {
		errs = append(errs, field.Required(field.NewPath("metadata", "uid"), ""))
	}
	want := generatedLabels(obj)
	have, path := obj.Spec.Template.Labels, field.NewPath("spec", "template", "metadata", "labels")
	for _, name := range []string{oldControllerUID, oldJobName, batchv1.ControllerUidLabel, batchv1.JobNameLabel} {
		switch value, ok := have[name]; {
		case !ok:
			errs = append(errs, field.Required(path.Key(name), fmt.Sprintf("must be '%s'", want[name])))
		case value != want[name]:
			errs = append(errs, field.Invalid(path.Key(name), have, fmt.Sprintf("must be '%s'", want[name])))
		}
	}
	if selector, err := metav1.LabelSelectorAsSelector(obj.Spec.Selector); err == nil && !selector.Matches(labels.Set(want)) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "selector"), obj.Spec.Selector, "`selector` not auto-generated"))
	}
	return errs
}

// validateJobSpec checks what jobs and the templates of cron jobs have in common.
func validateJobSpec(spec *batchv1.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, n := range []struct {
		field string
		value *int32
	}{
		{"parallelism", spec.Parallelism}, {"completions", spec.Completions}, {"backoffLimit", spec.BackoffLimit},
		{"ttlSecondsAfterFinished", spec.TTLSecondsAfterFinished}, {"backoffLimitPerIndex", spec.BackoffLimitPerIndex},
		{"maxFailedIndexes", spec.MaxFailedIndexes},
	} {
		errs = append(errs, check.NonNegative(path.Child(n.field), n.value)...)
	}
	errs = append(errs, check.NonNegative(path.Child("activeDeadlineSeconds"), spec.ActiveDeadlineSeconds)...)
	if spec.MaxFailedIndexes != nil && spec.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Required(path.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
	}
	if spec.ManagedBy != nil {
		errs = append(errs, validation.IsDomainPrefixedPath(path.Child("managedBy"), *spec.ManagedBy)...)
		if len(*spec.ManagedBy) > longestManagedBy {
			errs = append(errs, field.TooLong(path.Child("managedBy"), *spec.ManagedBy, longestManagedBy))
		}
	}
	errs = append(errs, validateCompletionMode(spec, path)...)
	errs = append(errs, validateFailurePolicy(spec, path.Child("podFailurePolicy"))...)
	errs = append(errs, validateSuccessPolicy(spec, path.Child("successPolicy"))...)
	errs = append(errs, validateReplacementPolicy(spec, path.Child("podReplacementPolicy"))...)
	if spec.Scheduling != nil {
		errs = append(errs, field.Forbidden(path.Child("scheduling"), support.NotSupported))
	}
	errs = append(errs, workload.ValidateTemplate(&spec.Template, path.Child("template"))...)
	return append(errs, validateJobRestart(spec, path.Child("template", "spec", "restartPolicy"))...)
}

// validateCompletionMode checks what only jobs with indexes have, and their bounds.
func validateCompletionMode(spec *batchv1.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if mode := spec.CompletionMode; mode != nil {
		errs = append(errs, check.Choice(path.Child("completionMode"), *mode, batchv1.NonIndexedCompletion, batchv1.IndexedCompletion)...)
	}
	refuse := func(bad bool, name string, value *int32, msg string) {
		if bad {
			errs = append(errs, field.Invalid(path.Child(name), *value, msg))
		}
	}
	if !indexed(spec) {
		refuse(spec.BackoffLimitPerIndex != nil, "backoffLimitPerIndex", spec.BackoffLimitPerIndex, "requires indexed completion mode")
		refuse(spec.MaxFailedIndexes != nil, "maxFailedIndexes", spec.MaxFailedIndexes, "requires indexed completion mode")
		return errs
	}
	if spec.Completions == nil {
		errs = append(errs, field.Required(path.Child("completions"), "when completion mode is Indexed"))
	}
	completions, parallel, failed := ptr.Deref(spec.Completions, 0), ptr.Deref(spec.Parallelism, 0), ptr.Deref(spec.MaxFailedIndexes, 0)
	refuse(parallel > mostParallel, "parallelism", spec.Parallelism,
		fmt.Sprintf("must be less than or equal to %d when completion mode is Indexed", mostParallel))
	refuse(spec.Completions != nil && failed > completions, "maxFailedIndexes", spec.MaxFailedIndexes, "must be less than or equal to completions")
	refuse(failed > mostFailedIndexes, "maxFailedIndexes", spec.MaxFailedIndexes, fmt.Sprintf("must be less than or equal to %d", mostFailedIndexes))
	if completions <= manyCompletions || spec.BackoffLimitPerIndex == nil {
		return errs
	}
	if spec.MaxFailedIndexes == nil {
		errs = append(errs, field.Required(path.Child("maxFailedIndexes"), fmt.Sprintf("must be specified when completions is above %d", manyCompletions)))
	}
	const many = "must be less than or equal to %d when completions are above %d and used with backoff limit per index"
	refuse(parallel > parallelForMany, "parallelism", spec.Parallelism, fmt.Sprintf(many, parallelForMany, manyCompletions))
	refuse(failed > failedForMany, "maxFailedIndexes", spec.MaxFailedIndexes, fmt.Sprintf(many, failedForMany, manyCompletions))
	return errs
}

func validateReplacementPolicy(spec *batchv1.JobSpec, path *field.Path) field.ErrorList {
	switch {
	case spec.PodReplacementPolicy == nil:
		return nil
	case spec.PodFailurePolicy != nil:
		return check.Choice(path, *spec.PodReplacementPolicy, batchv1.Failed)
	}
	return check.Choice(path, *spec.PodReplacementPolicy, batchv1.Failed, batchv1.TerminatingOrFailed)
}

// validateJobRestart: a job's pods end, so they do not restart for ever; what a
// template says nothing of was defaulted to that.
func validateJobRestart(spec *batchv1.JobSpec, path *field.Path) field.ErrorList {
	policies := []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}
	switch policy := spec.Template.Spec.RestartPolicy; {
	case policy == corev1.RestartPolicyAlways || policy == "":
		return field.ErrorList{field.Required(path, fmt.Sprintf("valid values: %q, %q", policies[0], policies[1]))}
	case !slices.Contains(policies, policy):
		return field.ErrorList{field.NotSupported(path, policy, policies)}
	case spec.PodFailurePolicy != nil && policy != corev1.RestartPolicyNever:
		return field.ErrorList{field.Invalid(path, policy, fmt.Sprintf("only %q is supported when podFailurePolicy is specified", corev1.RestartPolicyNever))}
	}
	return nil
}

// containerNames are those that a rule about exit codes may name.
func containerNames(spec *corev1.PodSpec) map[string]bool {
	names := map[string]bool{}
	for _, c := range slices.Concat(spec.Containers, spec.InitContainers) {
		names[c.Name] = true
	}
	return names
}
