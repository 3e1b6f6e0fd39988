package sim_test

import (
	"testing"
	"time"

	"github.com/musterhq/muster/integration/sim"
)

// All servers are restarted, one after the other, the leader among them, while
// writers run that do not try again.
func TestRollingRestartFailsNoWrite(t *testing.T) {
	simulate(t, 3, 0, func(t *testing.T, c *sim.Cluster) {
		w := c.WriteStrictly(4, 10*time.Millisecond)
		for range 2 {
			for _, s := range c.Servers {
				time.Sleep(500 * time.Millisecond)
				s.Stop()
				s.Start()
				s.WaitReady()
			}
		}
		time.Sleep(500 * time.Millisecond)
		written, longest, errs := w.Stop()
		t.Logf("%d writes, the longest took %v", written, longest)
		if len(errs) > 0 {
			t.Errorf("%d writes failed: %v", len(errs), errs[:min(5, len(errs))])
		}
		if written < 500 {
			t.Errorf("only %d writes", written)
		}
		if longest > longestGap {
			t.Errorf("a write took %v", longest)
		}
		c.SameState()
	})
}
