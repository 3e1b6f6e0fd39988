package objects

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

var errModified = errors.New("the object has been modified; please apply your changes to the latest version and try again")

// Texts of Kubernetes for a revision that is no longer kept.
const (
	listExpired     = "The resourceVersion for the provided list is too old."
	continueExpired = "The provided continue parameter is too old to display a consistent list result. " +
		"You can start a new list without the continue parameter, or use the continue token in this response to " +
		"retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - " +
		"objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list."
)

func errClaimed(c registry.Claim) error {
	return fmt.Errorf("%q is held by another object", c.Value)
}

func invalid(k *registry.Kind, name string, errs field.ErrorList) error {
	return apierrors.NewInvalid(k.GVK.GroupKind(), name, errs)
}

func conflict(t Target, err error) error {
	return apierrors.NewConflict(t.Kind.GroupResource(), t.Name, err)
}

// insufficientStorage is the answer to a write that no majority has room for. It is
// no ServiceUnavailable: another server would say the same, and this one serves
// reads as well as any.
func insufficientStorage(err error) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInsufficientStorage, Reason: "InsufficientStorage", Message: err.Error(),
	}}
}

func notFound(t Target) error {
	return apierrors.NewNotFound(t.Kind.GroupResource(), t.Name)
}
