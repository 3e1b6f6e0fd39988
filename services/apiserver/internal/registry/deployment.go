package registry

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func deploymentKind() *Kind {
	gvk := appsv1.SchemeGroupVersion.WithKind("Deployment")
	return &Kind{
		GVK: gvk, Resource: "deployments", Singular: "deployment", ShortNames: []string{"deploy"},
		Categories: []string{"all"}, Namespaced: true,
		Type:    "k8s.io.api.apps.v1.Deployment",
		New:     func() Object { return &appsv1.Deployment{} },
		NewList: func() runtime.Object { return &appsv1.DeploymentList{} },

		Default: mutate(defaultDeployment),
		PrepareCreate: create(func(obj *appsv1.Deployment) {
			obj.Status = appsv1.DeploymentStatus{}
			obj.Generation = 1
		}),
		PrepareUpdate: update(func(obj, old *appsv1.Deployment) {
			obj.Status = old.Status
			// Annotations are copied to the replica sets, so they count as desired state.
			raiseGeneration(obj, old, !equal(obj.Spec, old.Spec) || !equal(obj.Annotations, old.Annotations))
		}),
		PrepareStatusUpdate: update(func(obj, old *appsv1.Deployment) {
			keepGeneration(obj, old)
			obj.Spec = old.Spec
			obj.Labels = old.Labels
		}),

		Validate:             check(validateDeployment),
		ValidateUpdate:       checkUpdate(validateDeploymentUpdate),
		ValidateStatusUpdate: checkUpdate(validateDeploymentStatusUpdate),
		Warnings: func(obj Object) []string {
			return workloadWarnings(obj.GetName(), &obj.(*appsv1.Deployment).Spec.Template.Spec)
		},

		DefaultPropagation: metav1.DeletePropagationBackground,
		Columns:            deploymentColumns(),
		Subresources:       []Subresource{statusSubresource(gvk), deploymentScale()},
	}
}

func defaultDeployment(obj *appsv1.Deployment) {
	defaultPodSpec(&obj.Spec.Template.Spec)
	if obj.Spec.Replicas == nil {
		obj.Spec.Replicas = ptr.To(int32(1))
	}
	s := &obj.Spec.Strategy
	if s.Type == "" {
		s.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if s.Type == appsv1.RollingUpdateDeploymentStrategyType {
		if s.RollingUpdate == nil {
			s.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		}
		if s.RollingUpdate.MaxUnavailable == nil {
			s.RollingUpdate.MaxUnavailable = ptr.To(intstr.FromString("25%"))
		}
		if s.RollingUpdate.MaxSurge == nil {
			s.RollingUpdate.MaxSurge = ptr.To(intstr.FromString("25%"))
		}
	}
	if obj.Spec.RevisionHistoryLimit == nil {
		obj.Spec.RevisionHistoryLimit = ptr.To(int32(10))
	}
	if obj.Spec.ProgressDeadlineSeconds == nil {
		obj.Spec.ProgressDeadlineSeconds = ptr.To(int32(600))
	}
}

func deploymentColumns() []Column {
	status := appsv1.DeploymentStatus{}.SwaggerDoc()
	columns := []Column{
		column("Ready", "string", "Number of the pod with ready state", func(obj *appsv1.Deployment) any {
			return fmt.Sprintf("%d/%d", obj.Status.ReadyReplicas, ptr.Deref(obj.Spec.Replicas, 0))
		}),
		column("Up-to-date", "string", status["updatedReplicas"], func(obj *appsv1.Deployment) any { return int64(obj.Status.UpdatedReplicas) }),
		column("Available", "string", status["availableReplicas"], func(obj *appsv1.Deployment) any { return int64(obj.Status.AvailableReplicas) }),
		ageColumn(),
	}
	return append(columns, containerColumns(
		func(obj *appsv1.Deployment) []corev1.Container { return obj.Spec.Template.Spec.Containers },
		func(obj *appsv1.Deployment) *metav1.LabelSelector { return obj.Spec.Selector },
	)...)
}
