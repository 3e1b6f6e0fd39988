package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/sdk"
)

func everything(string) bool { return true }

func TestPlanIsThatOfItsSeed(t *testing.T) {
	draw := func(seed uint64) string {
		return fmt.Sprint(plan(rand.New(rand.NewPCG(seed, 1)), time.Minute, everything))
	}
	first := draw(7)
	if again := draw(7); again != first {
		t.Error("one seed, two schedules")
	}
	if other := draw(8); other == first {
		t.Error("two seeds, one schedule")
	}
}

func TestPlanHasOnlyWhatIsAllowed(t *testing.T) {
	for seed := range uint64(20) {
		for _, f := range plan(rand.New(rand.NewPCG(seed, 1)), time.Minute, func(kind string) bool { return kind == "kill" }) {
			if f.kind != "kill" {
				t.Fatal(f)
			}
		}
	}
}

// Every schedule ends with all members running and all links whole, and no
// member is killed that is down or started that is up.
func TestSchedulesEndMended(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			c := &members{t: t, names: []string{"a", "b", "c"}, state: map[string]string{}}
			b := newBreaker(c, leads("b"), func(string, ...any) {}, func(string) {})
			if err := b.run(t.Context(), plan(rand.New(rand.NewPCG(seed, 1)), time.Minute, everything)); err != nil {
				t.Fatal(err)
			}
			for name, state := range c.state {
				if state != "" {
					t.Errorf("seed %d: %s is %s in the end", seed, name, state)
				}
			}
			if len(c.links) != 0 || len(c.ahead) != 0 {
				t.Errorf("seed %d: broken in the end: %v, clocks %v", seed, c.links, c.ahead)
			}
		})
	}
}

func TestScheduleThatIsEndedEarlyIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &members{t: t, names: []string{"a", "b", "c"}, state: map[string]string{}}
		b := newBreaker(c, leads(""), func(string, ...any) {}, func(string) {})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		err := b.run(ctx, []fault{
			{kind: "kill", begin: time.Second, length: time.Hour}, {kind: "cut off", begin: 2 * time.Second, length: time.Hour},
			{kind: "kill all", begin: 10 * time.Second, length: time.Hour},
		})
		if err != nil || time.Since(start) > 5*time.Second || c.state["a"] != "" || len(c.links) > 0 {
			t.Errorf("%v after %v: %v %v", err, time.Since(start), c.state, c.links)
		}
	})
}

// leads is a member that always leads.
type leads string

func (l leads) leader(context.Context) string          { return string(l) }
func (l leads) handOver(context.Context, string) error { return nil }

// members is a cluster that only keeps account of itself.
type members struct {
	t     *testing.T
	names []string
	state map[string]string
	links map[Pair]Quality
	ahead map[string]time.Duration
	next  int
}

func (m *members) MoveClock(name string, by time.Duration) error {
	if m.ahead == nil {
		m.ahead = map[string]time.Duration{}
	}
	if m.ahead[name] = by; by == 0 {
		delete(m.ahead, name)
	}
	return nil
}

func (m *members) HangDisk(name string, hang bool) error {
	if hang {
		return m.turn(name, "", "hung")
	}
	return m.turn(name, "hung", "")
}

func (m *members) turn(name, from, to string) error {
	if !slices.Contains(m.names, name) || m.state[name] != from {
		m.t.Errorf("%s is %q, and is to become %q", name, m.state[name], to)
	}
	m.state[name] = to
	return nil
}

func (m *members) Kill(_ context.Context, name string) error   { return m.turn(name, "", "down") }
func (m *members) Stop(_ context.Context, name string) error   { return m.turn(name, "", "down") }
func (m *members) Start(_ context.Context, name string) error  { return m.turn(name, "down", "") }
func (m *members) Pause(_ context.Context, name string) error  { return m.turn(name, "", "held") }
func (m *members) Resume(_ context.Context, name string) error { return m.turn(name, "held", "") }
func (m *members) Ended() error                                { return nil }
func (m *members) Members() []string                           { return slices.Clone(m.names) }
func (m *members) Dial(...string) (*sdk.Client, error)         { return nil, nil }

func (m *members) Shape(_ context.Context, links map[Pair]Quality) error {
	m.links = links
	return nil
}

func (m *members) Replace(_ context.Context, name string) error {
	if len(m.links) > 0 {
		m.t.Errorf("%s is replaced while links are broken", name)
	}
	m.next++
	m.names[slices.Index(m.names, name)] = fmt.Sprint("new", m.next)
	return m.turn(fmt.Sprint("new", m.next), "", "")
}
