package registry

import (
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// Scaled are the parts of an object that its scale shows.
type Scaled struct {
	Spec     **int32
	Status   int32
	Selector *metav1.LabelSelector
}

// ScaleOf is the scale of a kind.
func ScaleOf[T Object](parts func(T) Scaled) Subresource {
	return scaleSubresource(func(obj Object) Scaled { return parts(obj.(T)) })
}

func scaleSubresource(parts func(Object) Scaled) Subresource {
	return Subresource{
		Name: "scale", GVK: autoscalingv1.SchemeGroupVersion.WithKind("Scale"), Verbs: []string{"get", "patch", "update"},
		NewObject: func() Object { return &autoscalingv1.Scale{} },
		Get: func(obj Object) (Object, error) {
			p := parts(obj)
			selector, err := metav1.LabelSelectorAsSelector(p.Selector)
			if err != nil {
				return nil, fmt.Errorf("scale of %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
			}
			return &autoscalingv1.Scale{
				TypeMeta: metav1.TypeMeta{APIVersion: "autoscaling/v1", Kind: "Scale"},
				ObjectMeta: metav1.ObjectMeta{
					Name: obj.GetName(), Namespace: obj.GetNamespace(), UID: obj.GetUID(),
					ResourceVersion: obj.GetResourceVersion(), CreationTimestamp: obj.GetCreationTimestamp(),
				},
				Spec:   autoscalingv1.ScaleSpec{Replicas: ptr.Deref(*p.Spec, 0)},
				Status: autoscalingv1.ScaleStatus{Replicas: p.Status, Selector: selector.String()},
			}, nil
		},
		Apply: func(obj, sub Object) error {
			scale := sub.(*autoscalingv1.Scale)
			if scale.Spec.Replicas < 0 {
				path := field.NewPath("spec", "replicas")
				return apierrors.NewInvalid(autoscalingv1.SchemeGroupVersion.WithKind("Scale").GroupKind(), scale.Name,
					field.ErrorList{field.Invalid(path, scale.Spec.Replicas, "must be greater than or equal to 0")})
			}
			*parts(obj).Spec = ptr.To(scale.Spec.Replicas)
			return nil
		},
		Columns: scaleColumns(),
	}
}

func scaleColumns() []Column {
	return []Column{
		ColumnOf("Desired", "integer", autoscalingv1.ScaleSpec{}.SwaggerDoc()["replicas"], func(obj *autoscalingv1.Scale) any { return int64(obj.Spec.Replicas) }),
		ColumnOf("Available", "integer", autoscalingv1.ScaleStatus{}.SwaggerDoc()["replicas"], func(obj *autoscalingv1.Scale) any { return int64(obj.Status.Replicas) }),
		Age(),
	}
}
