package crash_test

import (
	"testing"
	"time"
)

// All members are killed at once while they are written to, again and again.
func TestAllMembersKilledAtOnce(t *testing.T) {
	c := newCluster(t, 3)
	rounds := 3
	if *every {
		rounds = 25
	}
	for range rounds {
		stop := c.load()
		<-time.After(200 * time.Millisecond) // writes, and a snapshot now and then
		for _, p := range c.members {
			_ = p.cmd.Process.Kill()
		}
		for _, p := range c.members {
			<-p.ended
			p.start(t, "")
		}
		for _, p := range c.members {
			c.ready(p)
		}
		stop()
		c.check()
	}
	t.Logf("%d writes", c.history.next.Load())
}
