package rpc

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

const (
	typePrefix = "type.googleapis.com/"
	statusType = typePrefix + "k8s.io.apimachinery.pkg.apis.meta.v1.Status"
)

// Refused is what a door answers a call that Kubernetes' API refuses by err; other
// errors are as they were.
func Refused(err error) error {
	if known := apierrors.APIStatus(nil); errors.As(err, &known) {
		return asStatus(err)
	}
	return err
}

// asStatus is the one place that maps errors to gRPC: the code tells roughly
// what the Kubernetes Status in the details tells exactly.
func asStatus(err error) error {
	if err == nil {
		return nil
	}
	var known apierrors.APIStatus
	switch {
	case errors.As(err, &known):
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	default:
		known = apierrors.NewInternalError(err)
	}
	s := known.Status()
	out := status.New(codeOf(&s), s.Message).Proto()
	if value, err := s.Marshal(); err == nil {
		out.Details = append(out.Details, &anypb.Any{TypeUrl: statusType, Value: value})
	}
	if refused := (*objects.OperationError)(nil); errors.As(err, &refused) {
		if detail, err := anypb.New(&apiv1.OperationRefused{Index: int32(refused.Index)}); err == nil {
			out.Details = append(out.Details, detail)
		}
	}
	return status.ErrorProto(out)
}

// reasonCodes are what most errors say of themselves.
var reasonCodes = map[metav1.StatusReason]codes.Code{
	metav1.StatusReasonUnauthorized:       codes.Unauthenticated,
	metav1.StatusReasonForbidden:          codes.PermissionDenied,
	metav1.StatusReasonNotFound:           codes.NotFound,
	metav1.StatusReasonAlreadyExists:      codes.AlreadyExists,
	metav1.StatusReasonConflict:           codes.Aborted,
	metav1.StatusReasonGone:               codes.OutOfRange,
	metav1.StatusReasonExpired:            codes.OutOfRange,
	metav1.StatusReasonTimeout:            codes.DeadlineExceeded,
	metav1.StatusReasonServerTimeout:      codes.DeadlineExceeded,
	metav1.StatusReasonServiceUnavailable: codes.Unavailable,
	metav1.StatusReasonTooManyRequests:    codes.ResourceExhausted,
}

// httpCodes are for what has none of those reasons.
var httpCodes = map[int32]codes.Code{
	http.StatusUnauthorized:          codes.Unauthenticated,
	http.StatusForbidden:             codes.PermissionDenied,
	http.StatusNotFound:              codes.NotFound,
	http.StatusMethodNotAllowed:      codes.Unimplemented,
	http.StatusNotAcceptable:         codes.Unimplemented,
	http.StatusConflict:              codes.Aborted,
	http.StatusGone:                  codes.OutOfRange,
	http.StatusRequestEntityTooLarge: codes.ResourceExhausted,
	http.StatusUnsupportedMediaType:  codes.Unimplemented,
	http.StatusTooManyRequests:       codes.ResourceExhausted,
	http.StatusNotImplemented:        codes.Unimplemented,
	http.StatusServiceUnavailable:    codes.Unavailable,
	http.StatusGatewayTimeout:        codes.DeadlineExceeded,
	http.StatusInsufficientStorage:   codes.ResourceExhausted,
}

func codeOf(s *metav1.Status) codes.Code {
	if code, ok := reasonCodes[s.Reason]; ok {
		return code
	}
	if code, ok := httpCodes[s.Code]; ok {
		return code
	}
	if s.Code >= http.StatusBadRequest && s.Code < http.StatusInternalServerError {
		return codes.InvalidArgument
	}
	return codes.Internal
}
