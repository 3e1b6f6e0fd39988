package objects

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/quota"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// accompany plans what goes with the creation of an object.
func (s *Service) accompany(p *plan, t Target) error {
	switch t.Kind.StoreResource() {
	case namespaces:
		return s.furnish(p, t.Name)
	case quota.Resource:
		return p.fence(t.Namespace)
	}
	return nil
}

// requireNamespace checks, now and when the transaction is applied, that the
// namespace exists and is not on its way out.
func (p *plan) requireNamespace(t Target) error {
	if !t.Kind.Namespaced {
		return nil
	}
	key := state.Key{Resource: namespaces, Name: t.Namespace}
	e, ok := p.get(key)
	if !ok {
		return apierrors.NewNotFound(corev1.Resource(namespaces), t.Namespace)
	}
	meta, err := decodeMeta(e.Value())
	if err != nil {
		return fmt.Errorf("decode namespace %q: %w", t.Namespace, err)
	}
	if meta.DeletionTimestamp != nil {
		return terminating(t)
	}
	p.check(e)
	return nil
}

func terminating(t Target) error {
	err := apierrors.NewForbidden(t.Kind.GroupResource(), t.Name,
		fmt.Errorf("unable to create new content in namespace %s because it is being terminated", t.Namespace))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: corev1.NamespaceTerminatingCause, Field: "metadata.namespace",
		Message: fmt.Sprintf("namespace %s is being terminated", t.Namespace),
	})
	return err
}
