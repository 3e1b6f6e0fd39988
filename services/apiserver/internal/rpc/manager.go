package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/fieldmanager"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// writing returns a context in which writes are made in the name of the manager; where
// the request names none, of what the client calls itself.
func writing(ctx context.Context, manager string) (context.Context, error) {
	if manager == "" {
		return objects.WithManager(ctx, nameOf(ctx)), nil
	}
	if err := checkManager(manager); err != nil {
		return nil, err
	}
	return objects.WithManager(ctx, manager), nil
}

// nameOf returns the first word of the user agent, without its version: gRPC's own name
// comes behind it.
func nameOf(ctx context.Context) string {
	agent := metadata.ValueFromIncomingContext(ctx, "user-agent")
	if len(agent) == 0 {
		return ""
	}
	word, _, _ := strings.Cut(agent[0], " ")
	return fieldmanager.NameOf(word)
}

func checkManager(name string) error {
	errs := metavalidation.ValidateFieldManager(name, field.NewPath("fieldManager"))
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("UpdateOptions").GroupKind(), "", errs)
}
