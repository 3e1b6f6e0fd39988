package sdk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

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
	if answer := answerIn(st.Proto().GetDetails()); answer != nil {
		return answer
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

// statusURL is the type of the detail that holds a Kubernetes Status.
var statusURL = typeURLPrefix + TypeNameOf[metav1.Status]()

// answerIn returns the cluster's own answer that the details of a gRPC status hold, if
// there is one.
func answerIn(details []*anypb.Any) error {
	var answer *apierrors.StatusError
	var refused apiv1.OperationRefused
	index := -1
	for _, d := range details {
		switch {
		case d.GetTypeUrl() == statusURL:
			if s, err := Decode[*metav1.Status](d); err == nil {
				answer = &apierrors.StatusError{ErrStatus: *s}
			}
		case d.MessageIs(&refused):
			if d.UnmarshalTo(&refused) == nil {
				index = int(refused.GetIndex())
			}
		}
	}
	switch {
	case answer == nil:
		return nil
	case index >= 0:
		return &indexed{StatusError: answer, index: index}
	}
	return answer
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

// RefusedError is the answer to a transaction that was not done because one of its
// operations was refused. It unwraps to the *apierrors.StatusError of that one, so
// that apierrors.IsConflict and its siblings tell why.
type RefusedError struct {
	// Index of the operation, from 0.
	Index int
	// Operation that was refused.
	Operation Operation
	status    *apierrors.StatusError
}

// Error returns what the server said, which names the operation by its index.
func (e *RefusedError) Error() string { return e.status.Error() }

// Unwrap returns the server's answer.
func (e *RefusedError) Unwrap() error { return e.status }

// Reason returns what the server said of the operation, without its index.
func (e *RefusedError) Reason() string {
	return strings.TrimPrefix(e.Error(), fmt.Sprintf("operation %d: ", e.Index))
}

// RefusedOperation returns which operation of a transaction was refused.
func RefusedOperation(err error) (index int, ok bool) {
	var e *RefusedError
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Index, true
}

// indexed is a server's answer of which a detail tells the operation.
type indexed struct {
	*apierrors.StatusError
	index int
}

// Unwrap returns the answer itself.
func (e *indexed) Unwrap() error { return e.StatusError }

// refused says which of the operations an answer refuses, if it does: one that says
// that the cluster cannot be asked now is about none of them.
func refused(err error, ops []Operation) error {
	var at *indexed
	var status *apierrors.StatusError
	switch {
	case errors.As(err, &at) && at.index >= 0 && at.index < len(ops):
		return &RefusedError{Index: at.index, Operation: ops[at.index], status: at.StatusError}
	case len(ops) == 1 && errors.As(err, &status) && !IsRetryable(err):
		return &RefusedError{Operation: ops[0], status: status}
	}
	return err
}

// answered says that the error is the cluster's own answer.
func answered(err error) bool {
	var se apierrors.APIStatus
	return errors.As(err, &se)
}
