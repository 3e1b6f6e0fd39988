// Package catalog lists every kind that Muster serves. It alone knows them all.
package catalog

import (
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/apps"
	"github.com/musterhq/muster/services/apiserver/internal/registry/autoscaling"
	"github.com/musterhq/muster/services/apiserver/internal/registry/batch"
	"github.com/musterhq/muster/services/apiserver/internal/registry/certificates"
	"github.com/musterhq/muster/services/apiserver/internal/registry/coordination"
	"github.com/musterhq/muster/services/apiserver/internal/registry/core"
	"github.com/musterhq/muster/services/apiserver/internal/registry/event"
	"github.com/musterhq/muster/services/apiserver/internal/registry/networking"
	"github.com/musterhq/muster/services/apiserver/internal/registry/node"
	"github.com/musterhq/muster/services/apiserver/internal/registry/pod"
	"github.com/musterhq/muster/services/apiserver/internal/registry/policy"
	"github.com/musterhq/muster/services/apiserver/internal/registry/quota"
	"github.com/musterhq/muster/services/apiserver/internal/registry/rbac"
	"github.com/musterhq/muster/services/apiserver/internal/registry/review"
	"github.com/musterhq/muster/services/apiserver/internal/registry/scheduling"
	"github.com/musterhq/muster/services/apiserver/internal/registry/service"
	"github.com/musterhq/muster/services/apiserver/internal/registry/storage"
)

// New builds the table of all kinds.
func New(o registry.Options) *registry.Table { return registry.NewTable(All(o)) }

// All builds every kind that Muster serves, core group first.
func All(o registry.Options) []*registry.Kind {
	o = o.WithDefaults()
	pods, events, autoscaler := pod.Pod(), event.Event(o), autoscaling.HorizontalPodAutoscaler()
	return []*registry.Kind{
		core.Namespace(),
		node.Node(),
		pods,
		pod.Binding(pods),
		core.ComponentStatus(),
		service.Service(o),
		service.Endpoints(),
		core.ConfigMap(),
		core.Secret(),
		core.ServiceAccount(),
		events,
		event.EventV1(events),
		apps.ReplicationController(),
		pod.Template(),
		quota.LimitRange(),
		quota.ResourceQuota(),
		storage.PersistentVolume(),
		storage.PersistentVolumeClaim(),
		apps.Deployment(),
		apps.ReplicaSet(),
		apps.StatefulSet(),
		apps.DaemonSet(),
		apps.ControllerRevision(),
		batch.Job(),
		batch.CronJob(),
		autoscaler,
		autoscaling.HorizontalPodAutoscalerV1(autoscaler),
		service.EndpointSlice(),
		coordination.Lease(),
		rbac.Role(),
		rbac.RoleBinding(),
		rbac.ClusterRole(),
		rbac.ClusterRoleBinding(),
		networking.Ingress(),
		networking.IngressClass(),
		networking.NetworkPolicy(),
		networking.IPAddress(),
		networking.ServiceCIDR(o),
		policy.PodDisruptionBudget(),
		storage.StorageClass(),
		storage.CSIDriver(),
		storage.CSINode(),
		storage.CSIStorageCapacity(),
		storage.VolumeAttachment(),
		storage.VolumeAttributesClass(),
		scheduling.PriorityClass(),
		node.RuntimeClass(),
		certificates.CertificateSigningRequest(),
		certificates.ClusterTrustBundle(),
		certificates.PodCertificateRequest(),
		review.TokenReview(),
		review.SelfSubjectReview(),
		review.SubjectAccessReview(),
		review.LocalSubjectAccessReview(),
		review.SelfSubjectAccessReview(),
		review.SelfSubjectRulesReview(),
	}
}
