package store

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestGap looks at writes with a known pause after the leader was killed, and a
// longer one before that.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gap{first: make(chan struct{})}
		g.acknowledged()
		time.Sleep(900 * time.Millisecond)
		g.acknowledged()
		time.Sleep(10 * time.Millisecond)
		g.watch()
		time.Sleep(490 * time.Millisecond)
		g.acknowledged()
		time.Sleep(100 * time.Millisecond)
		g.acknowledged()
		if err := until(t.Context(), g.first, time.Second, "write"); err != nil {
			t.Error(err)
		}
		if g.longest != 500*time.Millisecond {
			t.Errorf("the longest gap is %v, want 500ms", g.longest)
		}
	})
}
