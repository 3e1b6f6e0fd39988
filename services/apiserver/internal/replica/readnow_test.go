package replica_test

import (
	"fmt"
	"testing"
	"testing/synctest"
)

func TestOnlyVoterReadsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		defer c.stop()
		m := c.members[0]
		m.read(t, "x") // it leads
		for n := range 50 {
			m.write(t, put("x", fmt.Sprint(n)))
			view, ok := m.ReadNow()
			if got := value(view, "x"); !ok || got != fmt.Sprint(n) {
				t.Fatalf("read %q, %v behind write %d", got, ok, n)
			}
		}
	})
}

// Nobody with fellows knows by himself that he leads still.
func TestOneOfSeveralDoesNotReadNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stop()
		c.members[0].write(t, put("x", "1"))
		for _, m := range c.members {
			m.read(t, "x")
			if _, ok := m.ReadNow(); ok {
				t.Errorf("%s read without asking the others", m.id)
			}
		}
	})
}
