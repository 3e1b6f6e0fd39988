package objects_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// Whoever asks a cluster without a majority is told so while still waiting for
// the answer.
func TestReadWithoutLeaderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, replica := objectstest.New(t)
		replica.Leaderless = true
		ctx, cancel := context.WithTimeout(admin, time.Minute)
		defer cancel()
		begun := time.Now()
		_, err := s.Get(ctx, target(t, s, "ConfigMap", "a"), "")
		const want = "Timeout: the cluster did not answer in time: read: no leader answered: context deadline exceeded"
		if took := time.Since(begun); !apierrors.IsTimeout(err) || err.Error() != want || took != 10*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}
