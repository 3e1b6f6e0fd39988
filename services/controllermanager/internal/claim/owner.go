package claim

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
)

// Concerned finds the owners that a changed object concerns: its controller,
// where that is of the kind, or, for an object that nobody controls, those whose
// selector matches it and that would take it.
func Concerned[T, O sdk.Object](kind string, owners func() []O, selectorOf func(O) *metav1.LabelSelector) func(T) []controller.Request {
	return func(obj T) []controller.Request {
		if metav1.GetControllerOfNoCopy(obj) != nil {
			return controller.OwnerOf[T](kind)(obj)
		}
		var out []controller.Request
		for _, owner := range owners() {
			if owner.GetNamespace() == obj.GetNamespace() && matches(selectorOf(owner), obj) {
				out = append(out, controller.Request{Namespace: owner.GetNamespace(), Name: owner.GetName()})
			}
		}
		return out
	}
}

// matches is false for a selector that does not parse or that selects everything:
// the server stores neither.
func matches(selector *metav1.LabelSelector, obj metav1.Object) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(obj.GetLabels()))
}

// MayAdopt reads the owner anew before it takes anything: one that was deleted
// must not take what another may have made.
func MayAdopt[O sdk.Object](ctx context.Context, client *sdk.Client, owner O) (bool, error) {
	now, err := sdk.Get[O](ctx, client, owner.GetNamespace(), owner.GetName())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("adopt for %s/%s: %w", owner.GetNamespace(), owner.GetName(), err)
	}
	return now.GetUID() == owner.GetUID() && now.GetDeletionTimestamp() == nil, nil
}
