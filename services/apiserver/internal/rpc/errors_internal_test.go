package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

var pods = schema.GroupResource{Resource: "pods"}

// errorsAndCodes are the errors that Kubernetes' library makes, and one of each
// other kind, with the codes that object.proto promises.
var errorsAndCodes = []struct {
	err  error
	code codes.Code
}{
	{apierrors.NewNotFound(pods, "a"), codes.NotFound},
	{apierrors.NewAlreadyExists(pods, "a"), codes.AlreadyExists},
	{apierrors.NewGenerateNameConflict(pods, "a", 1), codes.AlreadyExists},
	{apierrors.NewUnauthorized("who"), codes.Unauthenticated},
	{apierrors.NewForbidden(pods, "a", errors.New("no")), codes.PermissionDenied},
	{apierrors.NewConflict(pods, "a", errors.New("no")), codes.Aborted},
	{apierrors.NewApplyConflict(nil, "no"), codes.Aborted},
	{apierrors.NewResourceExpired("old"), codes.OutOfRange},
	{apierrors.NewGone("old"), codes.OutOfRange}, //nolint:staticcheck // Old servers and proxies answer so.
	{apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "a", nil), codes.InvalidArgument},
	{apierrors.NewBadRequest("no"), codes.InvalidArgument},
	{apierrors.NewTooManyRequests("later", 1), codes.ResourceExhausted},
	{apierrors.NewTooManyRequestsError("later"), codes.ResourceExhausted},
	{apierrors.NewRequestEntityTooLargeError("large"), codes.ResourceExhausted},
	{apierrors.NewServiceUnavailable("no"), codes.Unavailable},
	{apierrors.NewMethodNotSupported(pods, "patch"), codes.Unimplemented},
	{apierrors.NewServerTimeout(pods, "get", 1), codes.DeadlineExceeded},
	{apierrors.NewTimeoutError("late", 1), codes.DeadlineExceeded},
	{apierrors.NewInternalError(errors.New("broken")), codes.Internal},
	{generic(http.StatusUnsupportedMediaType), codes.Unimplemented},
	{generic(http.StatusNotAcceptable), codes.Unimplemented},
	{generic(http.StatusInsufficientStorage), codes.ResourceExhausted},
	{generic(http.StatusNotImplemented), codes.Unimplemented},
	{generic(http.StatusGatewayTimeout), codes.DeadlineExceeded},
	{generic(http.StatusPreconditionFailed), codes.InvalidArgument},
	{generic(http.StatusBadGateway), codes.Internal},
	{objects.AtOperation(3, 5, apierrors.NewNotFound(pods, "a")), codes.NotFound},
	{fmt.Errorf("wrapped: %w", apierrors.NewNotFound(pods, "a")), codes.NotFound},
	{fmt.Errorf("wrapped: %w", context.Canceled), codes.Canceled},
	{fmt.Errorf("wrapped: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
	{errors.New("unknown"), codes.Internal},
}

// generic is an error of which only the HTTP code is known.
func generic(code int32) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: "no"}}
}

func TestErrorsHaveTheirCodes(t *testing.T) {
	for _, test := range errorsAndCodes {
		got := status.Convert(asStatus(test.err))
		if got.Code() != test.code {
			t.Errorf("%v: %v, want %v", test.err, got.Code(), test.code)
		}
		var known apierrors.APIStatus
		if !errors.As(test.err, &known) {
			continue
		}
		details := got.Proto().GetDetails()
		var told metav1.Status
		if len(details) == 0 || details[0].GetTypeUrl() != statusType || told.Unmarshal(details[0].GetValue()) != nil {
			t.Errorf("%v: details %v", test.err, details)
		}
		if want := known.Status(); told.Reason != want.Reason || told.Code != want.Code || told.Message != want.Message || got.Message() != want.Message {
			t.Errorf("%v: told %+v", test.err, told)
		}
	}
	if asStatus(nil) != nil {
		t.Error("no error became one")
	}
}

// The index of a refused operation is there for programs in every language.
func TestRefusedOperationsAreTyped(t *testing.T) {
	got := status.Convert(asStatus(objects.AtOperation(3, 5, apierrors.NewNotFound(pods, "a"))))
	var refused apiv1.OperationRefused
	if details := got.Proto().GetDetails(); len(details) != 2 || details[1].UnmarshalTo(&refused) != nil || refused.GetIndex() != 3 {
		t.Errorf("details: %v", details)
	}
}
