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
)

const (
	typePrefix = "type.googleapis.com/"
	statusType = typePrefix + "k8s.io.apimachinery.pkg.apis.meta.v1.Status"
)

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
	out := status.New(codeOf(&s), s.Message)
	value, marshalErr := s.Marshal()
	if marshalErr != nil {
		return out.Err()
	}
	detailed := out.Proto()
	detailed.Details = append(detailed.Details, &anypb.Any{TypeUrl: statusType, Value: value})
	return status.ErrorProto(detailed)
}

func codeOf(s *metav1.Status) codes.Code {
	switch s.Reason {
	case metav1.StatusReasonNotFound:
		return codes.NotFound
	case metav1.StatusReasonAlreadyExists:
		return codes.AlreadyExists
	case metav1.StatusReasonConflict:
		return codes.Aborted
	case metav1.StatusReasonExpired, metav1.StatusReasonGone:
		return codes.OutOfRange
	case metav1.StatusReasonUnauthorized:
		return codes.Unauthenticated
	case metav1.StatusReasonForbidden:
		return codes.PermissionDenied
	case metav1.StatusReasonTooManyRequests:
		return codes.ResourceExhausted
	case metav1.StatusReasonTimeout, metav1.StatusReasonServerTimeout:
		return codes.DeadlineExceeded
	case metav1.StatusReasonServiceUnavailable:
		return codes.Unavailable
	case metav1.StatusReasonMethodNotAllowed, metav1.StatusReasonUnsupportedMediaType:
		return codes.Unimplemented
	}
	if s.Code >= http.StatusBadRequest && s.Code < http.StatusInternalServerError {
		return codes.InvalidArgument
	}
	return codes.Internal
}
