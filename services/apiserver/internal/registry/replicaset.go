package registry

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

func replicaSetKind() *Kind {
	gvk := appsv1.SchemeGroupVersion.WithKind("ReplicaSet")
	return &Kind{
		GVK: gvk, Resource: "replicasets", Singular: "replicaset", ShortNames: []string{"rs"},
		Categories: []string{"all"}, Namespaced: true,
		Type:    "k8s.io.api.apps.v1.ReplicaSet",
		New:     func() Object { return &appsv1.ReplicaSet{} },
		NewList: func() runtime.Object { return &appsv1.ReplicaSetList{} },

		Default: mutate(defaultReplicaSet),
		PrepareCreate: create(func(obj *appsv1.ReplicaSet) {
			obj.Status = appsv1.ReplicaSetStatus{}
			obj.Generation = 1
		}),
		PrepareUpdate: update(func(obj, old *appsv1.ReplicaSet) {
			obj.Status = old.Status
			raiseGeneration(obj, old, !equal(obj.Spec, old.Spec))
		}),
		PrepareStatusUpdate: update(func(obj, old *appsv1.ReplicaSet) {
			keepGeneration(obj, old)
			obj.Spec = old.Spec
		}),

		Validate:             check(validateReplicaSet),
		ValidateUpdate:       checkUpdate(validateReplicaSetUpdate),
		ValidateStatusUpdate: checkUpdate(validateReplicaSetStatusUpdate),
		Warnings: func(obj Object) []string {
			return workloadWarnings(obj.GetName(), &obj.(*appsv1.ReplicaSet).Spec.Template.Spec)
		},

		Fields: func(obj Object) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(obj.(*appsv1.ReplicaSet).Status.Replicas))}
		},
		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns:            replicaSetColumns(),
		Subresources:       []Subresource{statusSubresource(gvk), replicaSetScale()},
	}
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
