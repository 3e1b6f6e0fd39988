package apps

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// ReplicationController defines the elder form of replica sets.
func ReplicationController() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.ReplicationControllerList{}, registry.Definition[*corev1.ReplicationController]{
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
			return workload.Warnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Fields: func(obj *corev1.ReplicationController) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(obj.Status.Replicas))}
		},
		Columns: replicationControllerColumns(),
		Subresources: []registry.Subresource{registry.ScaleOf(func(obj *corev1.ReplicationController) registry.Scaled {
			return registry.Scaled{Spec: &obj.Spec.Replicas, Status: obj.Status.Replicas, Selector: &metav1.LabelSelector{MatchLabels: obj.Spec.Selector}}
		})},
	})
}

func defaultReplicationController(obj *corev1.ReplicationController) {
	registry.OrDefault(&obj.Spec.Replicas, 1)
	t := obj.Spec.Template
	if t == nil {
		return
	}
	podspec.Default(&t.Spec)
	if len(obj.Spec.Selector) == 0 {
		obj.Spec.Selector = maps.Clone(t.Labels)
	}
	if len(obj.Labels) == 0 {
		obj.Labels = maps.Clone(t.Labels)
	}
}

func validateReplicationController(obj *corev1.ReplicationController) field.ErrorList {
	path, spec := field.NewPath("spec"), &obj.Spec
	errs := check.NonNegative(path.Child("minReadySeconds"), &spec.MinReadySeconds)
	if len(spec.Selector) == 0 {
		errs = append(errs, field.Required(path.Child("selector"), ""))
	}
	errs = append(errs, check.NonNegative(path.Child("replicas"), spec.Replicas)...)
	template := path.Child("template")
	if spec.Template == nil {
		return append(errs, field.Required(template, ""))
	}
	errs = append(errs, workload.MatchesTemplate(labels.SelectorFromSet(spec.Selector), spec.Template, template)...)
	errs = append(errs, workload.ValidateTemplate(spec.Template, template)...)
	return append(errs, workload.RunsForever(spec.Template, "ReplicationController", template)...)
}

func validateReplicationControllerStatus(obj, _ *corev1.ReplicationController) field.ErrorList {
	s := &obj.Status
	return workload.ValidateReplicaCounts(s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, s.ObservedGeneration)
}

func replicationControllerColumns() []registry.Column {
	spec, status := corev1.ReplicationControllerSpec{}.SwaggerDoc(), corev1.ReplicationControllerStatus{}.SwaggerDoc()
	columns := []registry.Column{
		registry.ColumnOf("Desired", "integer", spec["replicas"], func(obj *corev1.ReplicationController) any { return int64(ptr.Deref(obj.Spec.Replicas, 0)) }),
		registry.ColumnOf("Current", "integer", status["replicas"], func(obj *corev1.ReplicationController) any { return int64(obj.Status.Replicas) }),
		registry.ColumnOf("Ready", "integer", status["readyReplicas"], func(obj *corev1.ReplicationController) any { return int64(obj.Status.ReadyReplicas) }),
		registry.Age(),
	}
	return append(columns, workload.ContainerColumns(
		func(obj *corev1.ReplicationController) []corev1.Container {
			return ptr.Deref(obj.Spec.Template, corev1.PodTemplateSpec{}).Spec.Containers
		},
		func(obj *corev1.ReplicationController) *metav1.LabelSelector {
			return &metav1.LabelSelector{MatchLabels: obj.Spec.Selector}
		},
	)...)
}
