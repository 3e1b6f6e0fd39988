package objects

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

var errModified = errors.New("the object has been modified; please apply your changes to the latest version and try again")

// Texts of Kubernetes for a revision that is no longer kept.
const (
	continueExpired = "The provided continue parameter is too old to display a consistent list result. " +
		"You can start a new list without the continue parameter."
	watchExpired = "too old resource version: %d (%d)"
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

func notFound(t Target) error {
	return apierrors.NewNotFound(t.Kind.GroupResource(), t.Name)
}
