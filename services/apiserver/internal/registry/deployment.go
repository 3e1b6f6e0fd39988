package registry

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func deploymentKind() *Kind {
	return define(appsv1.SchemeGroupVersion, &appsv1.DeploymentList{}, definition[*appsv1.Deployment]{
		ShortNames: []string{"deploy"}, Categories: []string{"all"}, Namespaced: true,
		Status: true,
		// Annotations are copied to the replica sets, so they count as desired state.
		Counted: func(obj, old *appsv1.Deployment) bool {
			return !equal(obj.Spec, old.Spec) || !equal(obj.Annotations, old.Annotations)
		},

		Default:             defaultDeployment,
		PrepareStatusUpdate: func(obj, old *appsv1.Deployment) { obj.Labels = old.Labels },

		Validate:             validateDeployment,
		ValidateUpdate:       validateDeploymentUpdate,
		ValidateStatusUpdate: validateDeploymentStatusUpdate,
		Warnings: func(obj *appsv1.Deployment) []string {
			return workloadWarnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Columns: deploymentColumns(),
		Subresources: []Subresource{scaleOf(func(obj *appsv1.Deployment) scaled {
			return scaled{&obj.Spec.Replicas, obj.Status.Replicas, obj.Spec.Selector}
		})},
	})
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
