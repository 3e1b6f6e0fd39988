package registry

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/ptr"
)

func replicaSetKind() *Kind {
	return define(appsv1.SchemeGroupVersion, &appsv1.ReplicaSetList{}, definition[*appsv1.ReplicaSet]{
		ShortNames: []string{"rs"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default: defaultReplicaSet,

		Validate:             validateReplicaSet,
		ValidateUpdate:       validateReplicaSetUpdate,
		ValidateStatusUpdate: validateReplicaSetStatusUpdate,
		Warnings: func(obj *appsv1.ReplicaSet) []string {
			return workloadWarnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Fields: func(obj *appsv1.ReplicaSet) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(obj.Status.Replicas))}
		},
		Columns: replicaSetColumns(),
		Subresources: []Subresource{scaleOf(func(obj *appsv1.ReplicaSet) scaled {
			return scaled{&obj.Spec.Replicas, obj.Status.Replicas, obj.Spec.Selector}
		})},
	})
}

func defaultReplicaSet(obj *appsv1.ReplicaSet) {
	defaultPodSpec(&obj.Spec.Template.Spec)
	if obj.Spec.Replicas == nil {
		obj.Spec.Replicas = ptr.To(int32(1))
	}
}

func replicaSetColumns() []Column {
	spec, status := appsv1.ReplicaSetSpec{}.SwaggerDoc(), appsv1.ReplicaSetStatus{}.SwaggerDoc()
	columns := []Column{
		column("Desired", "integer", spec["replicas"], func(obj *appsv1.ReplicaSet) any { return int64(ptr.Deref(obj.Spec.Replicas, 0)) }),
		column("Current", "integer", status["replicas"], func(obj *appsv1.ReplicaSet) any { return int64(obj.Status.Replicas) }),
		column("Ready", "integer", status["readyReplicas"], func(obj *appsv1.ReplicaSet) any { return int64(obj.Status.ReadyReplicas) }),
		ageColumn(),
	}
	return append(columns, containerColumns(
		func(obj *appsv1.ReplicaSet) []corev1.Container { return obj.Spec.Template.Spec.Containers },
		func(obj *appsv1.ReplicaSet) *metav1.LabelSelector { return obj.Spec.Selector },
	)...)
}
