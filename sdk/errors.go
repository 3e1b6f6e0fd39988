package sdk

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk/exchange"
)

// A refused transaction names the operation in the field of a cause, or before
// its message.
var (
	operationField   = regexp.MustCompile(`^operations\[(\d+)\]`)
	operationMessage = regexp.MustCompile(`^operation (\d+): `)
)

// CauseOperation is the type of the cause in a refused transaction's status
// that names the operation; its field is "operations[N]".
const CauseOperation metav1.CauseType = "OperationRefused"

// fromGRPC turns the error of a call into what callers see: a StatusError where
// the cluster answered with one, else the gRPC error. The end of the caller's
// context is that and nothing else; a call that the server gave up by itself,
// because it stops, is one it was unavailable for.
func fromGRPC(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	want := TypeNameOf[metav1.Status]()
	for _, d := range st.Proto().GetDetails() {
		if strings.TrimPrefix(d.GetTypeUrl(), typeURLPrefix) != want {
			continue
		}
		if s, derr := Decode[*metav1.Status](&anypb.Any{TypeUrl: d.GetTypeUrl(), Value: d.GetValue()}); derr == nil {
			return &apierrors.StatusError{ErrStatus: *s}
		}
	}
	switch cause := ctx.Err(); {
	case st.Code() != codes.Canceled && st.Code() != codes.DeadlineExceeded:
		return err
	case cause != nil:
		return &callError{err: err, cause: cause}
	case errors.Is(err, exchange.ErrExpired):
		return err
	//nolint:staticcheck // A closed client and a stopping server both answer Canceled; only this tells them apart.
	case errors.Is(err, grpc.ErrClientConnClosing):
		return err
	}
	return status.Error(codes.Unavailable, "the server gave the call up: "+st.Message())
}

// callError is a gRPC error that also answers to errors.Is for the context's end.
type callError struct{ err, cause error }

func (e *callError) Error() string              { return e.err.Error() }
func (e *callError) Unwrap() []error            { return []error{e.err, e.cause} }
func (e *callError) GRPCStatus() *status.Status { return status.Convert(e.err) }

// OutcomeUnknown says of a failed write that it may have been done all the
// same: the answer was lost, not the request. A caller reads the object before
// it tries again, or makes the write conditional.
func OutcomeUnknown(err error) bool {
	if err == nil || answered(err) {
		return apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted, codes.Unknown, codes.Internal:
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// reasonInsufficientStorage is of a write that the servers' disks have no room for,
// until somebody makes some.
const reasonInsufficientStorage = "InsufficientStorage"

// IsRetryable says that the same read, or a write that can be repeated, may
// well go through in a moment: the server went away, is overloaded or has no
// leader just now. It is never true for an answer that will stay the same, nor
// for the end of the caller's own context.
func IsRetryable(err error) bool {
	if err == nil {
		return false
	}
	if answered(err) {
		return apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) ||
			apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) ||
			apierrors.ReasonForError(err) == reasonInsufficientStorage
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.Internal:
		return true
	}
	return false
}

// IsExpired says that a watch or a list asked for a revision that is no longer
// kept, and has to begin anew.
func IsExpired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// RefusedOperation returns which operation of a transaction was refused.
func RefusedOperation(err error) (index int, ok bool) {
	var se apierrors.APIStatus
	if !errors.As(err, &se) {
		return 0, false
	}
	st := se.Status()
	m := operationMessage.FindStringSubmatch(st.Message)
	if st.Details != nil {
		for _, c := range st.Details.Causes {
			if f := operationField.FindStringSubmatch(c.Field); f != nil && c.Type == CauseOperation {
				m = f
			}
		}
	}
	if m == nil {
		return 0, false
	}
	n, aerr := strconv.Atoi(m[1])
	return n, aerr == nil
}

// answered says that the error is the cluster's own answer.
func answered(err error) bool {
	var se apierrors.APIStatus
	return errors.As(err, &se)
}
