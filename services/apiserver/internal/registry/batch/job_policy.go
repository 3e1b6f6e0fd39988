package batch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// valid is choice where a value that is missing is named by those that there are.
func valid[T ~string](path *field.Path, value T, values ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, fmt.Sprintf("valid values: %q", values))}
	}
	return check.OneOf(path, value, values...)
}

func tooMany(path *field.Path, n, most int) field.ErrorList {
	if n > most {
		return field.ErrorList{field.TooMany(path, n, most)}
	}
	return nil
}

func validateFailurePolicy(spec *batchv1.JobSpec, path *field.Path) field.ErrorList {
	if spec.PodFailurePolicy == nil {
		return nil
	}
	rules := path.Child("rules")
	errs := tooMany(rules, len(spec.PodFailurePolicy.Rules), mostPolicyRules)
	containers := containerNames(&spec.Template.Spec)
	for i := range spec.PodFailurePolicy.Rules {
		errs = append(errs, validateFailureRule(spec, &spec.PodFailurePolicy.Rules[i], containers, rules.Index(i))...)
	}
	return errs
}

func validateFailureRule(spec *batchv1.JobSpec, rule *batchv1.PodFailurePolicyRule, containers map[string]bool, path *field.Path) field.ErrorList {
	errs := valid(path.Child("action"), rule.Action, batchv1.PodFailurePolicyActionCount,
		batchv1.PodFailurePolicyActionFailIndex, batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionIgnore)
	if rule.Action == batchv1.PodFailurePolicyActionFailIndex && spec.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Invalid(path.Child("action"), rule.Action, "requires the backoffLimitPerIndex to be set"))
	}
	if rule.OnExitCodes != nil {
		errs = append(errs, validateExitCodes(rule.OnExitCodes, containers, path.Child("onExitCodes"))...)
	}
	conditions := path.Child("onPodConditions")
	errs = append(errs, tooMany(conditions, len(rule.OnPodConditions), mostPodConditions)...)
	for i, c := range rule.OnPodConditions {
		p := conditions.Index(i)
		errs = append(errs, check.Invalid(p.Child("type"), string(c.Type), validation.IsQualifiedName(string(c.Type)))...)
		errs = append(errs, valid(p.Child("status"), c.Status, corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown)...)
	}
	switch codes, conditions := rule.OnExitCodes != nil, len(rule.OnPodConditions) > 0; {
	case codes && conditions:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "specifying both OnExitCodes and OnPodConditions is not supported"))
	case !codes && !conditions:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "specifying one of OnExitCodes and OnPodConditions is required"))
	}
	return errs
}

func validateExitCodes(r *batchv1.PodFailurePolicyOnExitCodesRequirement, containers map[string]bool, path *field.Path) field.ErrorList {
	errs := valid(path.Child("operator"), r.Operator, batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn)
	if r.ContainerName != nil && !containers[*r.ContainerName] {
		errs = append(errs, field.Invalid(path.Child("containerName"), *r.ContainerName,
			"must be one of the container or initContainer names in the pod template"))
	}
	values := path.Child("values")
	if len(r.Values) == 0 {
		errs = append(errs, field.Invalid(values, r.Values, "at least one value is required"))
	}
	errs = append(errs, tooMany(values, len(r.Values), mostExitCodes)...)
	seen := map[int32]bool{}
	for i, code := range r.Values {
		if r.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn && code == 0 {
			errs = append(errs, field.Invalid(values.Index(i), code, "must not be 0 for the In operator"))
		}
		if seen[code] {
			errs = append(errs, field.Duplicate(values.Index(i), code))
		}
		seen[code] = true
	}
	if !slices.IsSorted(r.Values) {
		errs = append(errs, field.Invalid(values, r.Values, "must be ordered"))
	}
	return errs
}

func validateSuccessPolicy(spec *batchv1.JobSpec, path *field.Path) field.ErrorList {
	policy := spec.SuccessPolicy
	switch {
	case policy == nil:
		return nil
	case !indexed(spec):
		return field.ErrorList{field.Invalid(path, *policy, "requires indexed completion mode")}
	}
	rules := path.Child("rules")
	if len(policy.Rules) == 0 {
		return field.ErrorList{field.Required(rules, "at least one rules must be specified when the successPolicy is specified")}
	}
	errs := tooMany(rules, len(policy.Rules), mostPolicyRules)
	for i := range policy.Rules {
		errs = append(errs, validateSuccessRule(&policy.Rules[i], ptr.Deref(spec.Completions, 0), rules.Index(i))...)
	}
	return errs
}

func validateSuccessRule(rule *batchv1.SuccessPolicyRule, completions int32, path *field.Path) field.ErrorList {
	if rule.SucceededCount == nil && rule.SucceededIndexes == nil {
		return field.ErrorList{field.Required(path, "at least one of succeededCount or succeededIndexes must be specified")}
	}
	var errs field.ErrorList
	var total int32
	if indexes := rule.SucceededIndexes; indexes != nil {
		p := path.Child("succeededIndexes")
		if len(*indexes) > longestIndexes {
			errs = append(errs, field.TooLong(p, *indexes, longestIndexes))
		}
		var err error
		if total, err = countIndexes(*indexes, completions); err != nil {
			errs = append(errs, field.Invalid(p, *indexes, fmt.Sprintf("error parsing succeededIndexes: %s", err)))
		}
	}
	if count := rule.SucceededCount; count != nil {
		p := path.Child("succeededCount")
		errs = append(errs, check.NonNegative(p, count)...)
		if *count > completions {
			errs = append(errs, field.Invalid(p, *count, fmt.Sprintf("must be less than or equal to %d (the number of specified completions)", completions)))
		}
		if rule.SucceededIndexes != nil && *count > total {
			errs = append(errs, field.Invalid(p, *count,
				fmt.Sprintf("must be less than or equal to %d (the number of indexes in the specified succeededIndexes field)", total)))
		}
	}
	return errs
}

// countIndexes counts what a list of intervals ("0-3,5") holds, in order and below
// the number of completions.
func countIndexes(text string, completions int32) (int32, error) {
	intervals, err := parseIndexes(text, completions)
	total := int32(0)
	for _, i := range intervals {
		total += i.last - i.first + 1
	}
	return total, err
}

// interval is of indexes, both ends included.
type interval struct{ first, last int32 }

func parseIndexes(text string, completions int32) ([]interval, error) {
	if text == "" {
		return nil, nil
	}
	var list []interval
	for part := range strings.SplitSeq(text, ",") {
		next, err := parseInterval(part, completions)
		if err != nil {
			return nil, err
		}
		if n := len(list); n > 0 && list[n-1].last >= next.first {
			return nil, outOfOrder(list[n-1].last, next.first)
		}
		list = append(list, next)
	}
	return list, nil
}

func outOfOrder(previous, current int32) error {
	return fmt.Errorf("non-increasing order, previous: %d, current: %d", previous, current)
}

func parseInterval(text string, completions int32) (interval, error) {
	ends := strings.Split(text, "-")
	if len(ends) > 2 {
		return interval{}, fmt.Errorf("the fragment %q violates the requirement that an index interval can have at most two parts separated by '-'", text)
	}
	var out interval
	for i, end := range ends {
		n, err := strconv.ParseInt(end, 10, 32)
		if err != nil {
			return interval{}, fmt.Errorf("cannot convert string to integer for index: %q", end)
		}
		if int32(n) >= completions {
			return interval{}, fmt.Errorf("too large index: %q", end)
		}
		if i == 0 {
			out.first = int32(n)
		}
		out.last = int32(n)
	}
	if len(ends) == 2 && out.first >= out.last {
		return interval{}, outOfOrder(out.first, out.last)
	}
	return out, nil
}
