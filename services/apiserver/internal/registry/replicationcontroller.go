package registry

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

func replicationControllerKind() *Kind {
	return define(corev1.SchemeGroupVersion, &corev1.ReplicationControllerList{}, definition[*corev1.ReplicationController]{
		ShortNames: []string{"rc"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,
		// The oldest controller, from before there was a garbage collector.
		Propagation: metav1.DeletePropagationOrphan,

		Default: defaultReplicationController,

		Validate:             validateReplicationController,
		ValidateStatusUpdate: validateReplicationControllerStatus,
		Warnings: func(obj *corev1.ReplicationController) []string {
			if obj.Spec.Template == nil {
				return nil
			}
			return workloadWarnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Fields: func(obj *corev1.ReplicationController) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(obj.Status.Replicas))}
		},
		Columns: replicationControllerColumns(),
		Subresources: []Subresource{scaleOf(func(obj *corev1.ReplicationController) scaled {
			return scaled{&obj.Spec.Replicas, obj.Status.Replicas, &metav1.LabelSelector{MatchLabels: obj.Spec.Selector}}
		})},
	})
}

func defaultReplicationController(obj *corev1.ReplicationController) {
	orDefault(&obj.Spec.Replicas, 1)
	t := obj.Spec.Template
	if t == nil {
		return
	}
	defaultPodSpec(&t.Spec)
	if len(obj.Spec.Selector) == 0 {
		obj.Spec.Selector = maps.Clone(t.Labels)
	}
	if len(obj.Labels) == 0 {
		obj.Labels = maps.Clone(t.Labels)
	}
}

func validateReplicationController(obj *corev1.ReplicationController) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := nonNegative(path.Child("minReadySeconds"), &spec.MinReadySeconds)
	if len(spec.Selector) == 0 {
		errs = append(errs, field.Required(path.Child("selector"), ""))
	}
	errs = append(errs, nonNegative(path.Child("replicas"), spec.Replicas)...)
	template := path.Child("template")
	if spec.Template == nil {
		return append(errs, field.Required(template, ""))
	}
	errs = append(errs, matchesTemplate(labels.SelectorFromSet(spec.Selector), spec.Template, template)...)
	errs = append(errs, validatePodTemplate(spec.Template, template)...)
	return append(errs, runsForever(spec.Template, "ReplicationController", template)...)
}

func validateReplicationControllerStatus(obj, _ *corev1.ReplicationController) field.ErrorList {
	s := &obj.Status
	return validateReplicaCounts(s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, s.ObservedGeneration)
}

func replicationControllerColumns() []Column {
	spec, status := corev1.ReplicationControllerSpec{}.SwaggerDoc(), corev1.ReplicationControllerStatus{}.SwaggerDoc()
	columns := []Column{
		column("Desired", "integer", spec["replicas"], func(obj *corev1.ReplicationController) any { return int64(ptr.Deref(obj.Spec.Replicas, 0)) }),
		column("Current", "integer", status["replicas"], func(obj *corev1.ReplicationController) any { return int64(obj.Status.Replicas) }),
		column("Ready", "integer", status["readyReplicas"], func(obj *corev1.ReplicationController) any { return int64(obj.Status.ReadyReplicas) }),
		ageColumn(),
	}
	return append(columns, containerColumns(
		func(obj *corev1.ReplicationController) []corev1.Container {
			return ptr.Deref(obj.Spec.Template, corev1.PodTemplateSpec{}).Spec.Containers
		},
		func(obj *corev1.ReplicationController) *metav1.LabelSelector {
			return &metav1.LabelSelector{MatchLabels: obj.Spec.Selector}
		},
	)...)
}
