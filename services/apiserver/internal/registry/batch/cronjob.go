package batch

import (
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // the zones of schedules, wherever the server runs

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// CronJob defines jobs by the clock.
func CronJob() *registry.Kind {
	return registry.Define(batchv1.SchemeGroupVersion, &batchv1.CronJobList{}, registry.Definition[*batchv1.CronJob]{
		ShortNames: []string{"cj"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default: defaultCronJob,

		Validate: validateCronJob,
		ValidateCreate: func(obj *batchv1.CronJob) field.ErrorList {
			errs := validateZone(obj.Spec.TimeZone, field.NewPath("spec", "timeZone"))
			errs = append(errs, validateZoneOfSchedule(&obj.Spec, false)...)
			if len(obj.Name) > longestCronJobName {
				errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), obj.Name, "must be no more than 52 characters"))
			}
			return errs
		},
		ValidateUpdate: func(obj, old *batchv1.CronJob) field.ErrorList {
			var errs field.ErrorList
			if !ptr.Equal(obj.Spec.TimeZone, old.Spec.TimeZone) {
				errs = validateZone(obj.Spec.TimeZone, field.NewPath("spec", "timeZone"))
			}
			return append(errs, validateZoneOfSchedule(&obj.Spec, strings.Contains(old.Spec.Schedule, "TZ"))...)
		},
		Warnings: func(obj *batchv1.CronJob) []string {
			list := workload.NameWarnings(obj.Name)
			template := field.NewPath("spec", "jobTemplate", "spec", "template", "spec")
			list = append(list, podspec.Warnings(&obj.Spec.JobTemplate.Spec.Template.Spec, template)...)
			list = append(list, jobSpecWarnings(&obj.Spec.JobTemplate.Spec)...)
			if strings.Contains(obj.Spec.Schedule, "TZ") {
				list = append(list, "spec.schedule is not officially supported, see https://kep.k8s.io/3140 for more details")
			}
			return list
		},

		Columns: cronJobColumns(),
	})
}

func defaultCronJob(obj *batchv1.CronJob) {
	spec := &obj.Spec
	podspec.Default(&spec.JobTemplate.Spec.Template.Spec)
	defaultFailurePolicy(spec.JobTemplate.Spec.PodFailurePolicy)
	registry.OrValue(&spec.ConcurrencyPolicy, batchv1.AllowConcurrent)
	registry.OrDefault(&spec.Suspend, false)
	registry.OrDefault(&spec.SuccessfulJobsHistoryLimit, 3)
	registry.OrDefault(&spec.FailedJobsHistoryLimit, 1)
}

func validateCronJob(obj *batchv1.CronJob) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := validateSchedule(spec.Schedule, path.Child("schedule"))
	errs = append(errs, check.NonNegative(path.Child("startingDeadlineSeconds"), spec.StartingDeadlineSeconds)...)
	errs = append(errs, check.OneOf(path.Child("concurrencyPolicy"), spec.ConcurrencyPolicy,
		batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent)...)
	job, p := &spec.JobTemplate.Spec, path.Child("jobTemplate", "spec")
	errs = append(errs, validateJobSpec(job, p)...)
	if job.Selector != nil {
		errs = append(errs, field.Invalid(p.Child("selector"), job.Selector, "`selector` will be auto-generated"))
	}
	if ptr.Deref(job.ManualSelector, false) {
		errs = append(errs, field.NotSupported(p.Child("manualSelector"), true, []string{"nil", "false"}))
	}
	errs = append(errs, check.NonNegative(path.Child("successfulJobsHistoryLimit"), spec.SuccessfulJobsHistoryLimit)...)
	return append(errs, check.NonNegative(path.Child("failedJobsHistoryLimit"), spec.FailedJobsHistoryLimit)...)
}

// validateSchedule reads a schedule as the controller does.
func validateSchedule(schedule string, path *field.Path) field.ErrorList {
	if schedule == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	if strings.Contains(schedule, "TZ") && !strings.Contains(schedule, " ") {
		return nil // The parser breaks on a zone alone; that there is one is refused elsewhere.
	}
	if _, err := cron.ParseStandard(schedule); err != nil {
		return field.ErrorList{field.Invalid(path, schedule, err.Error())}
	}
	return nil
}

// validateZoneOfSchedule refuses a zone in the schedule, unless it was there before.
func validateZoneOfSchedule(spec *batchv1.CronJobSpec, allowed bool) field.ErrorList {
	path := field.NewPath("spec", "schedule")
	switch inside := strings.Contains(spec.Schedule, "TZ"); {
	case inside && !allowed:
		return field.ErrorList{field.Invalid(path, spec.Schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")}
	case inside && spec.TimeZone != nil:
		return field.ErrorList{field.Invalid(path, spec.Schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule")}
	}
	return nil
}

// zonePart is a part of a zone's name, as https://data.iana.org/time-zones/theory.html#naming
// has it, and some older names.
var zonePart = regexp.MustCompile(`^[A-Za-z\.\-_0-9+]{1,14}$`)

func validateZone(zone *string, path *field.Path) field.ErrorList {
	switch {
	case zone == nil:
		return nil
	case *zone == "":
		return field.ErrorList{field.Invalid(path, *zone, "timeZone must be nil or non-empty string")}
	}
	for part := range strings.SplitSeq(*zone, "/") {
		if part == "." || part == ".." || strings.HasPrefix(part, "-") || !zonePart.MatchString(part) {
			return field.ErrorList{field.Invalid(path, *zone, "unknown time zone "+*zone)}
		}
	}
	var errs field.ErrorList
	if strings.EqualFold(*zone, "Local") {
		errs = append(errs, field.Invalid(path, *zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
	}
	if _, err := time.LoadLocation(*zone); err != nil {
		errs = append(errs, field.Invalid(path, *zone, err.Error()))
	}
	return errs
}

func cronJobColumns() []registry.Column {
	spec, status := batchv1.CronJobSpec{}.SwaggerDoc(), batchv1.CronJobStatus{}.SwaggerDoc()
	columns := []registry.Column{
		registry.ColumnOf("Schedule", "string", spec["schedule"], func(obj *batchv1.CronJob) any { return obj.Spec.Schedule }),
		registry.ColumnOf("Timezone", "string", spec["timeZone"], func(obj *batchv1.CronJob) any { return ptr.Deref(obj.Spec.TimeZone, registry.NoneCell) }),
		registry.ColumnOf("Suspend", "boolean", spec["suspend"], func(obj *batchv1.CronJob) any {
			if obj.Spec.Suspend == nil {
				return registry.UnsetCell
			}
			return map[bool]string{true: "True", false: "False"}[*obj.Spec.Suspend]
		}),
		registry.ColumnOf("Active", "integer", status["active"], func(obj *batchv1.CronJob) any { return int64(len(obj.Status.Active)) }),
		{Name: "Last Schedule", Type: "string", Description: status["lastScheduleTime"], Value: func(o registry.Object, now time.Time) any {
			if at := o.(*batchv1.CronJob).Status.LastScheduleTime; at != nil {
				return registry.Since(at.Time, now)
			}
			return registry.NoneCell
		}},
		registry.Age(),
	}
	return append(columns, workload.ContainerColumns(
		func(obj *batchv1.CronJob) []corev1.Container {
			return obj.Spec.JobTemplate.Spec.Template.Spec.Containers
		},
		func(obj *batchv1.CronJob) *metav1.LabelSelector { return obj.Spec.JobTemplate.Spec.Selector },
	)...)
}
