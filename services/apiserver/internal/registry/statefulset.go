package registry

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func statefulSetKind() *Kind {
	return define(appsv1.SchemeGroupVersion, &appsv1.StatefulSetList{}, definition[*appsv1.StatefulSet]{
		ShortNames: []string{"sts"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default: defaultStatefulSet,

		Validate:             validateStatefulSet,
		ValidateCreate:       validateStatefulSetCreate,
		ValidateUpdate:       validateStatefulSetUpdate,
		ValidateStatusUpdate: validateStatefulSetStatus,
		Warnings: func(obj *appsv1.StatefulSet) []string {
			return workloadWarnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Columns: append([]Column{
			column("Ready", "string", "Number of the pod with ready state", func(obj *appsv1.StatefulSet) any {
				return fmt.Sprintf("%d/%d", obj.Status.ReadyReplicas, ptr.Deref(obj.Spec.Replicas, 0))
			}),
			ageColumn(),
		}, imageColumns(func(obj *appsv1.StatefulSet) []corev1.Container { return obj.Spec.Template.Spec.Containers })...),
		Subresources: []Subresource{scaleOf(func(obj *appsv1.StatefulSet) scaled {
			return scaled{&obj.Spec.Replicas, obj.Status.Replicas, obj.Spec.Selector}
		})},
	})
}

func defaultStatefulSet(obj *appsv1.StatefulSet) {
	spec := &obj.Spec
	defaultPodSpec(&spec.Template.Spec)
	orValue(&spec.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	if spec.UpdateStrategy.Type == "" {
		spec.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
		if spec.UpdateStrategy.RollingUpdate == nil {
			spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{}
		}
	}
	if r := spec.UpdateStrategy.RollingUpdate; r != nil && spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		orDefault(&r.Partition, 0)
		orDefault(&r.MaxUnavailable, intstr.FromInt32(1))
	}
	if spec.PersistentVolumeClaimRetentionPolicy == nil {
		spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{}
	}
	orValue(&spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	orValue(&spec.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	orDefault(&spec.Replicas, 1)
	orDefault(&spec.RevisionHistoryLimit, 10)
	for i := range spec.VolumeClaimTemplates {
		defaultPersistentVolumeClaim(&spec.VolumeClaimTemplates[i])
	}
}
