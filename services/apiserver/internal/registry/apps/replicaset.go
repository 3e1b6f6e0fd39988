package apps

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// ReplicaSet defines sets of pods that are alike.
func ReplicaSet() *registry.Kind {
	return registry.Define(appsv1.SchemeGroupVersion, &appsv1.ReplicaSetList{}, registry.Definition[*appsv1.ReplicaSet]{
		ShortNames: []string{"rs"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default: defaultReplicaSet,

		Validate:             validateReplicaSet,
		ValidateUpdate:       validateReplicaSetUpdate,
		ValidateStatusUpdate: validateReplicaSetStatusUpdate,
		Warnings: func(obj *appsv1.ReplicaSet) []string {
			return workload.Warnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Fields: func(obj *appsv1.ReplicaSet) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(obj.Status.Replicas))}
		},
		Columns: replicaSetColumns(),
		Subresources: []registry.Subresource{registry.ScaleOf(func(obj *appsv1.ReplicaSet) registry.Scaled {
			return registry.Scaled{Spec: &obj.Spec.Replicas, Status: obj.Status.Replicas, Selector: obj.Spec.Selector}
		})},
	})
}

func defaultReplicaSet(obj *appsv1.ReplicaSet) {
	podspec.Default(&obj.Spec.Template.Spec)
	if obj.Spec.Replicas == nil {
		obj.Spec.Replicas = ptr.To(int32(1))
	}
}

func replicaSetColumns() []registry.Column {
	spec, status := appsv1.ReplicaSetSpec{}.SwaggerDoc(), appsv1.ReplicaSetStatus{}.SwaggerDoc()
	columns := []registry.Column{
		registry.ColumnOf("Desired", "integer", spec["replicas"], func(obj *appsv1.ReplicaSet) any { return int64(ptr.Deref(obj.Spec.Replicas, 0)) }),
		registry.ColumnOf("Current", "integer", status["replicas"], func(obj *appsv1.ReplicaSet) any { return int64(obj.Status.Replicas) }),
		registry.ColumnOf("Ready", "integer", status["readyReplicas"], func(obj *appsv1.ReplicaSet) any { return int64(obj.Status.ReadyReplicas) }),
		registry.Age(),
	}
	return append(columns, workload.ContainerColumns(
		func(obj *appsv1.ReplicaSet) []corev1.Container { return obj.Spec.Template.Spec.Containers },
		func(obj *appsv1.ReplicaSet) *metav1.LabelSelector { return obj.Spec.Selector },
	)...)
}

func validateReplicaSet(obj *appsv1.ReplicaSet) field.ErrorList {
	path := field.NewPath("spec")
	errs := check.NonNegative(path.Child("replicas"), obj.Spec.Replicas)
	errs = append(errs, check.NonNegative(path.Child("minReadySeconds"), &obj.Spec.MinReadySeconds)...)
	return append(errs, workload.ValidateReplicated(obj.Spec.Selector, &obj.Spec.Template, path)...)
}

func validateReplicaSetUpdate(obj, old *appsv1.ReplicaSet) field.ErrorList {
	return apivalidation.ValidateImmutableField(obj.Spec.Selector, old.Spec.Selector, field.NewPath("spec", "selector"))
}

func validateReplicaSetStatusUpdate(obj, _ *appsv1.ReplicaSet) field.ErrorList {
	s := &obj.Status
	return workload.ValidateReplicaCounts(s.Replicas, s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas, s.ObservedGeneration)
}
