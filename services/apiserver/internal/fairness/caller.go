package fairness

import (
	"context"
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/access"
)

// Seat has the caller in ctx take seats of its class, as Enter does. Who finds none
// gets the error that Kubernetes answers with.
func (g *Gate) Seat(ctx context.Context, width int) (Seat, error) {
	u, _ := access.UserFrom(ctx)
	s, err := g.Enter(ctx, ClassOf(u), u.Name, width)
	if errors.Is(err, ErrBusy) {
		return s, tooManyRequests()
	}
	return s, err
}

// SeatNow is Seat for who would not wait.
func (g *Gate) SeatNow(ctx context.Context, width int) (Seat, bool) {
	u, _ := access.UserFrom(ctx)
	return g.TryEnter(ClassOf(u), u.Name, width)
}

func tooManyRequests() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests,
		Message: "Too many requests, please try again later.",
		Details: &metav1.StatusDetails{RetryAfterSeconds: retryAfter},
	}}
}
