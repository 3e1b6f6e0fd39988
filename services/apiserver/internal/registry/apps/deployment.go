// Package apps has the kinds that keep a number of pods alike running.
package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// Deployment defines replica sets that follow a template.
func Deployment() *registry.Kind {
	return registry.Define(appsv1.SchemeGroupVersion, &appsv1.DeploymentList{}, registry.Definition[*appsv1.Deployment]{
		ShortNames: []string{"deploy"}, Categories: []string{"all"}, Namespaced: true,
		Status: true,
		// Annotations are copied to the replica sets, so they count as desired state.
		Counted: func(obj, old *appsv1.Deployment) bool {
			return !check.Equal(obj.Spec, old.Spec) || !check.Equal(obj.Annotations, old.Annotations)
		},

		Default:             defaultDeployment,
		PrepareStatusUpdate: func(obj, old *appsv1.Deployment) { obj.Labels = old.Labels },

		Validate:             validateDeployment,
		ValidateUpdate:       validateDeploymentUpdate,
		ValidateStatusUpdate: validateDeploymentStatusUpdate,
		Warnings: func(obj *appsv1.Deployment) []string {
			return workload.Warnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Columns: deploymentColumns(),
		Subresources: []registry.Subresource{registry.ScaleOf(func(obj *appsv1.Deployment) registry.Scaled {
			return registry.Scaled{Spec: &obj.Spec.Replicas, Status: obj.Status.Replicas, Selector: obj.Spec.Selector}
		})},
	})
}

func defaultDeployment(obj *appsv1.Deployment) {
	podspec.Default(&obj.Spec.Template.Spec)
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

func deploymentColumns() []registry.Column {
	status := appsv1.DeploymentStatus{}.SwaggerDoc()
	columns := []registry.Column{
		registry.ColumnOf("Ready", "string", "Number of the pod with ready state", func(obj *appsv1.Deployment) any {
			return fmt.Sprintf("%d/%d", obj.Status.ReadyReplicas, ptr.Deref(obj.Spec.Replicas, 0))
		}),
		registry.ColumnOf("Up-to-date", "string", status["updatedReplicas"], func(obj *appsv1.Deployment) any { return int64(obj.Status.UpdatedReplicas) }),
		registry.ColumnOf("Available", "string", status["availableReplicas"], func(obj *appsv1.Deployment) any { return int64(obj.Status.AvailableReplicas) }),
		registry.Age(),
	}
	return append(columns, workload.ContainerColumns(
		func(obj *appsv1.Deployment) []corev1.Container { return obj.Spec.Template.Spec.Containers },
		func(obj *appsv1.Deployment) *metav1.LabelSelector { return obj.Spec.Selector },
	)...)
}
