//go:build root || freeze

package crash_test

// diskSize is what the disk of a member holds, in bytes: a few segments.
const diskSize = 320 << 20

// goesOn checks that writes by a member succeed.
func (c *cluster) goesOn(p *process) {
	c.t.Helper()
	c.eventually("writes by "+p.config.ID+" go on", func() bool { return c.history.write(p) == nil })
	for range 20 {
		if err := c.history.write(p); err != nil {
			c.t.Errorf("a write by %s failed: %v", p.config.ID, err)
		}
	}
}
