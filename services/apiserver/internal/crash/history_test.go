package crash_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// keysPerWrite is how many keys a transaction writes.
const keysPerWrite = 3

// history is what was written and what its writers were told.
type history struct {
	next atomic.Int64

	mu           sync.Mutex
	acknowledged map[int64]bool
	open         map[int64]bool // may be there or not
}

func newHistory() *history {
	return &history{acknowledged: map[int64]bool{}, open: map[int64]bool{}}
}

func keysOf(n int64) (keys []string) {
	for i := range keysPerWrite {
		keys = append(keys, fmt.Sprintf("%d.%d", i, n))
	}
	return keys
}

// write writes once by a member.
func (h *history) write(p *process) error {
	n := h.next.Add(1)
	h.mu.Lock()
	h.open[n] = true
	h.mu.Unlock()
	a, err := p.tell(order{Do: "put", Keys: keysOf(n), Value: strconv.FormatInt(n, 10)})
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.acknowledged[n] = true
		delete(h.open, n)
	case !a.Unknown:
		delete(h.open, n) // refused: it must not be there
	}
	return err
}

// load writes by all members until stop is called, which waits for the last
// answers.
func (c *cluster) load() (stop func()) {
	done := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 6 {
		p := c.members[i%min(len(c.members), 3)]
		writers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if c.history.write(p) != nil {
					poll()
				}
			}
		})
	}
	return func() {
		close(done)
		writers.Wait()
	}
}

// check looks at all members while nobody writes: all hold the same, all that was
// acknowledged, and of what was not each transaction whole or not at all. Then it
// removes what was acknowledged, so that there is not ever more.
func (c *cluster) check() {
	c.t.Helper()
	if err := c.history.judge(c.settled()); err != nil {
		c.t.Fatal(err)
	}
	c.tidy()
}

// settled waits until all members hold the same, and returns it.
func (c *cluster) settled() map[string]string {
	c.t.Helper()
	var dumps []answer
	c.eventually("all members hold entries as far", func() bool {
		dumps = nil
		for _, p := range c.members {
			c.ready(p)
			a, err := p.tell(order{Do: "dump"})
			if err != nil || len(dumps) > 0 && dumps[0].Index != a.Index {
				return false // another leader came
			}
			dumps = append(dumps, a)
		}
		return true
	})
	for i, d := range dumps {
		if d.State != dumps[0].State {
			c.t.Fatalf("%s and %s hold different states at entry %d", c.members[0].config.ID, c.members[i].config.ID, d.Index)
		}
	}
	return dumps[0].Values
}

// judge compares what is there with what was written.
func (h *history) judge(values map[string]string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := 0
	present := func(n int64) (count int) {
		for _, key := range keysOf(n) {
			if values[key] == strconv.FormatInt(n, 10) {
				count++
			}
		}
		known += count
		return count
	}
	for n := range h.acknowledged {
		if count := present(n); count != keysPerWrite {
			return fmt.Errorf("write %d was acknowledged, and %d of its %d keys are there", n, count, keysPerWrite)
		}
	}
	for n := range h.open {
		if count := present(n); count != 0 && count != keysPerWrite {
			return fmt.Errorf("write %d is half there: %d of %d keys", n, count, keysPerWrite)
		}
	}
	for key := range values {
		if key[0] == 'b' { // ballast
			known++
		}
	}
	if known != len(values) {
		return fmt.Errorf("%d keys are there, and %d were written and not refused or removed", len(values), known)
	}
	return nil
}

// tidy removes what was acknowledged.
func (c *cluster) tidy() {
	c.t.Helper()
	h := c.history
	for len(h.acknowledged) > 0 {
		var keys []string
		var numbers []int64
		for n := range h.acknowledged {
			if len(keys) >= 1000 {
				break
			}
			keys, numbers = append(keys, keysOf(n)...), append(numbers, n)
		}
		c.eventually("what was written is removed", func() bool {
			_, err := c.members[0].tell(order{Do: "delete", Keys: keys})
			return err == nil
		})
		for _, n := range numbers {
			delete(h.acknowledged, n)
		}
	}
}
