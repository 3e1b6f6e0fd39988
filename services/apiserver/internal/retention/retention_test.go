package retention_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/retention"
)

// store has a change a second.
type store struct {
	begin     time.Time
	forgotten uint64
}

func (s *store) Revision() uint64       { return uint64(time.Since(s.begin) / time.Second) }
func (s *store) Forget(revision uint64) { s.forgotten = revision }

func TestChangesAreForgottenByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, done := &store{begin: time.Now()}, make(chan error, 1)
		go func() { done <- retention.Run(ctx, s) }()
		time.Sleep(retention.Kept - time.Second)
		if s.forgotten != 0 {
			t.Errorf("change %d is forgotten early", s.forgotten)
		}
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		age := time.Duration(s.Revision()-s.forgotten) * time.Second
		if age < retention.Kept || age > retention.Kept+time.Minute {
			t.Errorf("changes are forgotten after %v", age)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
