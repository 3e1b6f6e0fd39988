package sim_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/sim"
)

var (
	seeds = flag.Int("sim.seeds", 0, "how many random schedules of faults to try; 0 tries the three that everybody tries")
	seed  = flag.Uint64("sim.seed", 0, "try this schedule only")
)

// rounds is how many faults a schedule has.
const rounds = 6

func TestRandomFaults(t *testing.T) {
	if *seed != 0 {
		randomFaults(t, *seed)
		return
	}
	if *seeds == 0 { // a red run is to be the fault of the change, not of the day
		for seed := range uint64(3) {
			randomFaults(t, seed+1)
		}
	}
	for range *seeds {
		randomFaults(t, rand.Uint64())
	}
}

func randomFaults(t *testing.T, seed uint64) {
	t.Run(fmt.Sprint(seed), func(t *testing.T) {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("try it again with -sim.seed=%d", seed)
			}
		})
		simulate(t, 3, 3, func(t *testing.T, c *sim.Cluster) {
			s := &schedule{t: t, c: c, rand: rand.New(rand.NewPCG(seed, 0)), writers: c.Write(2, 250*time.Millisecond)}
			sim.Create(c, sim.Deployment("web", 6))
			sim.Create(c, sim.Service("web"))
			c.Settled(time.Minute)
			for range rounds {
				s.round()
			}
		})
	})
}

// schedule is a run of faults that a seed determines.
type schedule struct {
	t       *testing.T
	c       *sim.Cluster
	rand    *rand.Rand
	writers *sim.Writers
}

// fault breaks something and returns how to mend it.
type fault struct {
	name string
	do   func(*schedule) (mend func())
}

// member is a server or a node.
type member interface {
	Start()
	Stop()
	Kill()
	Cut()
	Heal()
}

func (s *schedule) server() member { return s.c.Servers[s.rand.IntN(len(s.c.Servers))] }
func (s *schedule) node() member   { return s.c.Nodes[s.rand.IntN(len(s.c.Nodes))] }
func (s *schedule) leader() member { return s.c.Leader() }
func (s *schedule) manager() member {
	return s.c.Holder("kube-controller-manager")
}

// on is a fault of somebody.
func on(who string, pick func(*schedule) member, how string, begin, end func(member)) fault {
	return fault{name: who + " " + how, do: func(s *schedule) func() {
		m := pick(s)
		begin(m)
		return func() { end(m) }
	}}
}

func faults() []fault {
	all := []fault{{"all servers killed", func(s *schedule) func() {
		for _, server := range s.c.Servers {
			server.Kill()
		}
		return func() {
			for _, server := range s.c.Servers {
				server.Start()
			}
		}
	}}}
	for _, p := range []struct {
		who  string
		pick func(*schedule) member
	}{
		{"a server", (*schedule).server}, {"the leader", (*schedule).leader},
		{"the controller manager", (*schedule).manager}, {"a node", (*schedule).node},
	} {
		all = append(all,
			on(p.who, p.pick, "is killed", member.Kill, member.Start),
			on(p.who, p.pick, "is stopped", member.Stop, member.Start),
			on(p.who, p.pick, "is cut off", member.Cut, member.Heal),
			on(p.who, p.pick, "loses power", func(m member) { m.Cut(); m.Kill() }, func(m member) { m.Heal(); m.Start() }))
	}
	return all
}

// changes are what a user does meanwhile.
var changes = []func(*schedule){
	func(*schedule) {},
	func(s *schedule) { s.c.Change("web", sim.Scale(int32(2+s.rand.IntN(8)))) },
	func(s *schedule) { s.c.Change("web", sim.SetImage(fmt.Sprintf("whoami:%d", 1+s.rand.IntN(2)))) },
}

// round breaks something, changes something, mends it and checks everything.
func (s *schedule) round() {
	s.t.Helper()
	all := faults()
	f := all[s.rand.IntN(len(all))]
	time.Sleep(time.Duration(s.rand.IntN(2000)) * time.Millisecond)
	away := time.Duration(s.rand.IntN(15_000)) * time.Millisecond
	if s.rand.IntN(8) == 0 {
		away = 330 * time.Second // pods are evicted
	}
	s.t.Logf("%s for %v", f.name, away)
	change := changes[s.rand.IntN(len(changes))]
	early := s.rand.IntN(2) == 0
	if early {
		change(s)
	}
	mend := f.do(s)
	time.Sleep(away)
	if !early && f.name != "all servers killed" {
		change(s)
	}
	mend()
	s.check()
}

// check is the same after every fault.
func (s *schedule) check() {
	s.t.Helper()
	for _, server := range s.c.Servers {
		server.WaitReady()
	}
	s.c.WaitNodes()
	s.c.Settled(2 * time.Minute)
	s.c.EndpointsMatch("web")
	s.writers.Await(20)
	s.writers.Stop() // or else no two members are ever at the same revision
	s.writers.CheckKept()
	s.c.SameState()
	if s.t.Failed() {
		s.t.FailNow()
	}
	s.writers.Start()
}
