// Package batch has the kinds of pods that run to their end.
package batch

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// Job defines pods that are run until enough have succeeded.
func Job() *registry.Kind {
	return registry.Define(batchv1.SchemeGroupVersion, &batchv1.JobList{}, registry.Definition[*batchv1.Job]{
		Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,
		// Jobs kept their pods, for people to look at, before there was a choice.
		Propagation: metav1.DeletePropagationOrphan,
		DeleteWarning: "child pods are preserved by default when jobs are deleted; " +
			"set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",

		Default: defaultJob,
		// The labels hold the name, which may be generated.
		Allocate: func(obj, old *batchv1.Job, _ func(registry.Claim) bool, _ func(int) int) *field.Error {
			if old == nil && !ptr.Deref(obj.Spec.ManualSelector, false) {
				generateSelector(obj)
			}
			return nil
		},

		Validate:             validateJob,
		ValidateUpdate:       validateJobUpdate,
		ValidateStatusUpdate: validateJobStatus,
		Warnings:             jobWarnings,

		Fields: func(obj *batchv1.Job) fields.Set {
			return fields.Set{"status.successful": strconv.Itoa(int(obj.Status.Succeeded))}
		},
		Columns: jobColumns(),
	})
}

func defaultJob(obj *batchv1.Job) {
	spec := &obj.Spec
	podspec.Default(&spec.Template.Spec)
	defaultFailurePolicy(spec.PodFailurePolicy)
	if spec.Parallelism == nil {
		registry.OrDefault(&spec.Completions, 1)
	}
	registry.OrDefault(&spec.Parallelism, 1)
	if spec.BackoffLimitPerIndex != nil {
		registry.OrDefault(&spec.BackoffLimit, math.MaxInt32)
	}
	registry.OrDefault(&spec.BackoffLimit, 6)
	if len(obj.Labels) == 0 {
		obj.Labels = maps.Clone(spec.Template.Labels)
	}
	registry.OrDefault(&spec.CompletionMode, batchv1.NonIndexedCompletion)
	registry.OrDefault(&spec.Suspend, false)
	registry.OrDefault(&spec.ManualSelector, false)
	if spec.PodFailurePolicy != nil {
		registry.OrDefault(&spec.PodReplacementPolicy, batchv1.Failed)
	}
	registry.OrDefault(&spec.PodReplacementPolicy, batchv1.TerminatingOrFailed)
}

func defaultFailurePolicy(p *batchv1.PodFailurePolicy) {
	if p == nil {
		return
	}
	for i := range p.Rules {
		for j := range p.Rules[i].OnPodConditions {
			registry.OrValue(&p.Rules[i].OnPodConditions[j].Status, corev1.ConditionTrue)
		}
	}
}

// Labels of a job's pods; the ones without a domain are as old as jobs.
const (
	oldControllerUID = "controller-uid"
	oldJobName       = "job-name"
)

// generateSelector has the job's pods be told from all others. What the user gave
// stays; if it does not fit, validation refuses it.
func generateSelector(obj *batchv1.Job) {
	labels := maps.Clone(obj.Spec.Template.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	for name, value := range generatedLabels(obj) {
		if _, ok := labels[name]; !ok {
			labels[name] = value
		}
	}
	obj.Spec.Template.Labels = labels
	registry.OrDefault(&obj.Spec.Selector, metav1.LabelSelector{})
	selected := maps.Clone(obj.Spec.Selector.MatchLabels)
	if selected == nil {
		selected = map[string]string{}
	}
	if _, ok := selected[batchv1.ControllerUidLabel]; !ok {
		selected[batchv1.ControllerUidLabel] = string(obj.UID)
	}
	obj.Spec.Selector.MatchLabels = selected
}

func generatedLabels(obj *batchv1.Job) map[string]string {
	return map[string]string{
		oldControllerUID: string(obj.UID), oldJobName: obj.Name,
		batchv1.ControllerUidLabel: string(obj.UID), batchv1.JobNameLabel: obj.Name,
	}
}

func jobWarnings(obj *batchv1.Job) []string {
	return append(workload.Warnings(obj.Name, &obj.Spec.Template.Spec), jobSpecWarnings(&obj.Spec)...)
}

func jobSpecWarnings(spec *batchv1.JobSpec) []string {
	if ptr.Deref(spec.CompletionMode, "") != batchv1.IndexedCompletion ||
		ptr.Deref(spec.Completions, 0) <= manyCompletions || ptr.Deref(spec.Parallelism, 0) <= parallelForMany {
		return nil
	}
	return []string{"In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, " +
		"Kubernetes might not be able to track completedIndexes when a big number of indexes fail"}
}

func hasCondition(obj *batchv1.Job, t batchv1.JobConditionType) bool {
	return slices.ContainsFunc(obj.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == t && c.Status == corev1.ConditionTrue
	})
}

// jobPhase is the word that kubectl shows for what became of a job.
func jobPhase(obj *batchv1.Job) string {
	switch {
	case hasCondition(obj, batchv1.JobComplete):
		return string(batchv1.JobComplete)
	case hasCondition(obj, batchv1.JobFailed):
		return string(batchv1.JobFailed)
	case obj.DeletionTimestamp != nil:
		return "Terminating"
	}
	for _, t := range []batchv1.JobConditionType{batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet} {
		if hasCondition(obj, t) {
			return string(t)
		}
	}
	return "Running"
}

func jobColumns() []registry.Column {
	columns := []registry.Column{
		registry.ColumnOf("Status", "string", "Status of the job.", func(obj *batchv1.Job) any { return jobPhase(obj) }),
		registry.ColumnOf("Completions", "string", batchv1.JobStatus{}.SwaggerDoc()["succeeded"], func(obj *batchv1.Job) any {
			parallel := ptr.Deref(obj.Spec.Parallelism, 0)
			switch {
			case obj.Spec.Completions != nil:
				return fmt.Sprintf("%d/%d", obj.Status.Succeeded, *obj.Spec.Completions)
			case parallel > 1:
				return fmt.Sprintf("%d/1 of %d", obj.Status.Succeeded, parallel)
			}
			return fmt.Sprintf("%d/1", obj.Status.Succeeded)
		}),
		{Name: "Duration", Type: "string", Description: "Time required to complete the job.", Value: func(o registry.Object, now time.Time) any {
			s := &o.(*batchv1.Job).Status
			switch {
			case s.StartTime == nil:
				return ""
			case s.CompletionTime != nil:
				now = s.CompletionTime.Time
			}
			return duration.HumanDuration(now.Sub(s.StartTime.Time))
		}},
		registry.Age(),
	}
	return append(columns, workload.ContainerColumns(
		func(obj *batchv1.Job) []corev1.Container { return obj.Spec.Template.Spec.Containers },
		func(obj *batchv1.Job) *metav1.LabelSelector { return obj.Spec.Selector },
	)...)
}
