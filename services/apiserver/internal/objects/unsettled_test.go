package objects_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// forgetful applies every transaction and then answers with an error.
type forgetful struct {
	*objectstest.Replica
	err error
}

func (f forgetful) Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error) {
	if _, err := f.Replica.Apply(ctx, tx); err != nil {
		return nil, err
	}
	return nil, f.err
}

func (f forgetful) ApplyAll(ctx context.Context, txs []*storev1.Transaction) []replica.Outcome {
	outcomes := f.Replica.ApplyAll(ctx, txs)
	for i := range outcomes {
		outcomes[i] = replica.Outcome{Err: f.err}
	}
	return outcomes
}

// A write that may be applied is never answered as one that is not: only a
// Timeout, or the end of the call, leave that open to a client.
func TestUnsettledWriteIsNotRefused(t *testing.T) {
	for _, err := range []error{
		replica.ErrUnknown,
		fmt.Errorf("%w: %w", replica.ErrNoLeader, replica.ErrStopped),
		fmt.Errorf("%w: %w", replica.ErrNoLeader, context.DeadlineExceeded),
		fmt.Errorf("%w: %w", replica.ErrNoLeader, context.Canceled),
	} {
		_, r := objectstest.New(t)
		s, newErr := objects.New(objects.Config{Kinds: catalog.New(registry.Options{}), Replica: forgetful{r, err}})
		if newErr != nil {
			t.Fatal(newErr)
		}
		to := target(t, s, "ConfigMap", "a")
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}}
		other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "b"}}
		if _, got := s.Create(admin, to, object, false); !apierrors.IsTimeout(got) && !errors.Is(got, context.Canceled) {
			t.Errorf("%v is answered by %v", err, got)
		}
		s.Each(admin, []objects.Change{{Target: target(t, s, "ConfigMap", "b"), Create: other}}, func(answers ...objects.Answer) {
			if got := answers[0].Err; !apierrors.IsTimeout(got) && !errors.Is(got, context.Canceled) {
				t.Errorf("%v is answered to one of several by %v", err, got)
			}
		})
		if _, got := s.Get(admin, to, ""); got != nil {
			t.Errorf("after %v: %v", err, got)
		}
	}
}

// A write that no disk has room for is refused by an answer of its own, on which no
// client leaves the server.
func TestWriteWithoutRoomIsRefused(t *testing.T) {
	_, r := objectstest.New(t)
	full := fmt.Errorf("apply transaction: %w: free space there", replica.ErrDiskFull)
	s, err := objects.New(objects.Config{Kinds: catalog.New(registry.Options{}), Replica: forgetful{r, full}})
	if err != nil {
		t.Fatal(err)
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}}
	_, got := s.Create(admin, target(t, s, "ConfigMap", "a"), object, false)
	answer := apierrors.APIStatus(nil)
	if !errors.As(got, &answer) || answer.Status().Code != http.StatusInsufficientStorage || !strings.Contains(answer.Status().Message, "free space there") {
		t.Errorf("answered by %v", got)
	}
}
