package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
	"github.com/musterhq/muster/services/apiserver/internal/registry/storage"
	"github.com/musterhq/muster/services/apiserver/internal/registry/workload"
)

// StatefulSet defines sets of pods with names and volumes of their own.
func StatefulSet() *registry.Kind {
	return registry.Define(appsv1.SchemeGroupVersion, &appsv1.StatefulSetList{}, registry.Definition[*appsv1.StatefulSet]{
		ShortNames: []string{"sts"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default: defaultStatefulSet,

		Validate:             validateStatefulSet,
		ValidateCreate:       validateStatefulSetCreate,
		ValidateUpdate:       validateStatefulSetUpdate,
		ValidateStatusUpdate: validateStatefulSetStatus,
		Warnings: func(obj *appsv1.StatefulSet) []string {
			return workload.Warnings(obj.Name, &obj.Spec.Template.Spec)
		},

		Columns: append([]registry.Column{
			registry.ColumnOf("Ready", "string", "Number of the pod with ready state", func(obj *appsv1.StatefulSet) any {
				return fmt.Sprintf("%d/%d", obj.Status.ReadyReplicas, ptr.Deref(obj.Spec.Replicas, 0))
			}),
			registry.Age(),
		}, workload.ImageColumns(func(obj *appsv1.StatefulSet) []corev1.Container { return obj.Spec.Template.Spec.Containers })...),
		Subresources: []registry.Subresource{registry.ScaleOf(func(obj *appsv1.StatefulSet) registry.Scaled {
			return registry.Scaled{Spec: &obj.Spec.Replicas, Status: obj.Status.Replicas, Selector: obj.Spec.Selector}
		})},
	})
}

func defaultStatefulSet(obj *appsv1.StatefulSet) {
	spec := &obj.Spec
	podspec.Default(&spec.Template.Spec)
	registry.OrValue(&spec.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	if spec.UpdateStrategy.Type == "" {
		spec.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
		if spec.UpdateStrategy.RollingUpdate == nil {
			spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{}
		}
	}
	if r := spec.UpdateStrategy.RollingUpdate; r != nil && spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		registry.OrDefault(&r.Partition, 0)
		registry.OrDefault(&r.MaxUnavailable, intstr.FromInt32(1))
	}
	if spec.PersistentVolumeClaimRetentionPolicy == nil {
		spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{}
	}
	registry.OrValue(&spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	registry.OrValue(&spec.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	registry.OrDefault(&spec.Replicas, 1)
	registry.OrDefault(&spec.RevisionHistoryLimit, 10)
	for i := range spec.VolumeClaimTemplates {
		storage.DefaultClaim(&spec.VolumeClaimTemplates[i])
	}
}
