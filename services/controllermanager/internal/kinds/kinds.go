// Package kinds is the table of the kinds that controllers handle whatever they
// are: all that a namespace may hold, all that may own or be owned. It does for
// any kind what the typed functions of the SDK do for one.
package kinds

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
)

// Kind is one kind with its typed operations bound.
type Kind struct {
	GVK        schema.GroupVersionKind
	Resource   string // plural: "deployments"
	Type       string // Kubernetes message name
	Namespaced bool

	// Watch makes an input of a controller that maps any object of the kind.
	Watch func(requests func(metav1.Object) []controller.Request) controller.Input
	// Cached binds the kind to the shared caches; call it before they run.
	Cached func(*controller.Caches) Cache
	// Get reads the object from the server.
	Get func(ctx context.Context, c *sdk.Client, namespace, name string) (metav1.Object, error)
	// List reads the objects of a namespace from the server.
	List func(ctx context.Context, c *sdk.Client, namespace string) ([]metav1.Object, error)
	// Delete removes an object.
	Delete func(ctx context.Context, c *sdk.Client, namespace, name string, opts sdk.DeleteOptions) error
	// DeleteOp is Delete as a step of a transaction.
	DeleteOp func(namespace, name string, opts sdk.DeleteOptions) sdk.Operation
	// Patch applies a JSON merge patch.
	Patch func(ctx context.Context, c *sdk.Client, namespace, name string, patch any) error
}

// Cache is the shared cache of a kind, by owner.
type Cache struct {
	Get func(namespace, name string) (metav1.Object, bool)
	// OwnedBy returns the objects with an owner reference to the UID.
	OwnedBy func(owner types.UID) []metav1.Object
}

// All returns the table. What makes other things comes before what it makes, so
// that whoever deletes in this order deletes nothing that comes back.
func All() []Kind {
	core, apps := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion
	return []Kind{
		of[*appsv1.Deployment](apps.WithKind("Deployment"), "deployments", true),
		of[*appsv1.StatefulSet](apps.WithKind("StatefulSet"), "statefulsets", true),
		of[*appsv1.DaemonSet](apps.WithKind("DaemonSet"), "daemonsets", true),
		of[*corev1.ReplicationController](core.WithKind("ReplicationController"), "replicationcontrollers", true),
		of[*appsv1.ReplicaSet](apps.WithKind("ReplicaSet"), "replicasets", true),
		of[*autoscalingv2.HorizontalPodAutoscaler](autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), "horizontalpodautoscalers", true),
		of[*corev1.Pod](core.WithKind("Pod"), "pods", true),
		of[*corev1.Service](core.WithKind("Service"), "services", true),
		of[*corev1.Endpoints](core.WithKind("Endpoints"), "endpoints", true),
		of[*discoveryv1.EndpointSlice](discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), "endpointslices", true),
		of[*corev1.ConfigMap](core.WithKind("ConfigMap"), "configmaps", true),
		of[*corev1.Secret](core.WithKind("Secret"), "secrets", true),
		of[*corev1.ServiceAccount](core.WithKind("ServiceAccount"), "serviceaccounts", true),
		of[*networkingv1.Ingress](networkingv1.SchemeGroupVersion.WithKind("Ingress"), "ingresses", true),
		of[*networkingv1.NetworkPolicy](networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"), "networkpolicies", true),
		of[*policyv1.PodDisruptionBudget](policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), "poddisruptionbudgets", true),
		of[*storagev1.CSIStorageCapacity](storagev1.SchemeGroupVersion.WithKind("CSIStorageCapacity"), "csistoragecapacities", true),
		of[*coordinationv1.Lease](coordinationv1.SchemeGroupVersion.WithKind("Lease"), "leases", true),
		of[*corev1.PersistentVolumeClaim](core.WithKind("PersistentVolumeClaim"), "persistentvolumeclaims", true),
		of[*appsv1.ControllerRevision](apps.WithKind("ControllerRevision"), "controllerrevisions", true),
		of[*corev1.PodTemplate](core.WithKind("PodTemplate"), "podtemplates", true),
		of[*corev1.LimitRange](core.WithKind("LimitRange"), "limitranges", true),
		of[*corev1.ResourceQuota](core.WithKind("ResourceQuota"), "resourcequotas", true),
		of[*corev1.Event](core.WithKind("Event"), "events", true),
		of[*corev1.PersistentVolume](core.WithKind("PersistentVolume"), "persistentvolumes", false),
		of[*corev1.Node](core.WithKind("Node"), "nodes", false),
		of[*corev1.Namespace](core.WithKind("Namespace"), "namespaces", false),
	}
}

const ownersIndex = "owners"

func of[T sdk.Object](gvk schema.GroupVersionKind, resource string, namespaced bool) Kind {
	return Kind{
		GVK: gvk, Resource: resource, Type: sdk.TypeNameOf[T](), Namespaced: namespaced,
		Watch: func(requests func(metav1.Object) []controller.Request) controller.Input {
			return controller.For(func(obj T) []controller.Request { return requests(obj) })
		},
		Cached: cached[T],
		Get: func(ctx context.Context, c *sdk.Client, namespace, name string) (metav1.Object, error) {
			return sdk.Get[T](ctx, c, namespace, name)
		},
		List: func(ctx context.Context, c *sdk.Client, namespace string) ([]metav1.Object, error) {
			page, err := sdk.List[T](ctx, c, sdk.ListOptions{Namespace: namespace})
			if err != nil {
				return nil, err
			}
			return objects(page.Items), nil
		},
		Delete: sdk.Delete[T],
		DeleteOp: func(namespace, name string, opts sdk.DeleteOptions) sdk.Operation {
			return sdk.DeleteOp[T](namespace, name, opts)
		},
		Patch: func(ctx context.Context, c *sdk.Client, namespace, name string, patch any) error {
			_, err := sdk.MergePatch[T](ctx, c, namespace, name, "", patch)
			return err
		},
	}
}

func cached[T sdk.Object](caches *controller.Caches) Cache {
	cache := controller.Cache[T](caches)
	cache.AddIndex(ownersIndex, func(obj T) []string {
		var uids []string
		for _, ref := range obj.GetOwnerReferences() {
			uids = append(uids, string(ref.UID))
		}
		return uids
	})
	return Cache{
		Get: func(namespace, name string) (metav1.Object, bool) { return cache.Get(namespace, name) },
		OwnedBy: func(owner types.UID) []metav1.Object {
			return objects(cache.ByIndex(ownersIndex, string(owner)))
		},
	}
}

func objects[T metav1.Object](typed []T) []metav1.Object {
	out := make([]metav1.Object, 0, len(typed))
	for _, obj := range typed {
		out = append(out, obj)
	}
	return out
}
