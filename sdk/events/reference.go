package events

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/musterhq/muster/sdk"
)

// kinds knows the kinds that events are recorded about. Objects read from the
// cluster carry no kind themselves; client-go's scheme would tell, and link
// every API group into every binary.
func kinds() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, discoveryv1.AddToScheme, networkingv1.AddToScheme,
	} {
		utilruntime.Must(add(s))
	}
	return s
}

// reference names an object as events do.
func (r *Recorder) reference(obj sdk.Object) (*corev1.ObjectReference, error) {
	gvk := obj.GetObjectKind().GroupVersionKind()
	if gvk.Kind == "" {
		known, _, err := r.kinds.ObjectKinds(obj)
		if err != nil {
			return nil, fmt.Errorf("event about %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
		}
		gvk = known[0]
	}
	return &corev1.ObjectReference{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Namespace: obj.GetNamespace(),
		Name: obj.GetName(), UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion()}, nil
}
