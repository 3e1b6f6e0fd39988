//go:build root

package conformance

import (
	"net/netip"
	"slices"
	"time"

	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/musterhq/muster/agent/proxy"
)

func sticky(rules proxy.Rules, timeout time.Duration) proxy.Rules {
	for i := range rules.Services {
		rules.Services[i].Affinity = timeout
	}
	return rules
}

// asker is a client and where it connects to.
type asker struct {
	from    *nettest.Namespace
	network string
	to      netip.AddrPort
}

func (r *rig) askers() []asker {
	var out []asker
	for _, network := range networks {
		out = append(out, asker{r.outside, network, nodePort}, asker{r.node, network, nodePort},
			asker{r.node, network, vip}, asker{r.client, network, vip}, asker{r.servers[0], network, vip})
	}
	return out
}

// stays makes requests that one server must answer, and gives its number.
func (r *rig) stays(a asker, requests int) int {
	r.t.Helper()
	first := r.ask(a.from, a.network, a.to).Server
	for range requests - 1 {
		if got := r.ask(a.from, a.network, a.to).Server; got != first {
			r.t.Errorf("%s from %s to %s: %s answered after %s", a.network, a.from.Name, a.to, got, first)
		}
	}
	return slices.IndexFunc(r.servers, func(s *nettest.Namespace) bool { return s.Name == first })
}

// stayed wants the same server as before from each.
func (r *rig) stayed(before map[asker]int, after string) {
	r.t.Helper()
	for a, was := range before {
		if got := r.stays(a, 3); got != was {
			r.t.Errorf("%s from %s to %s: server%d answered after %s, want server%d", a.network, a.from.Name, a.to, got, after, was)
		}
	}
}

func testAffinity(r *rig) {
	r.sync(sticky(r.rules(0, 1), time.Hour))
	before := map[asker]int{}
	for _, a := range r.askers() {
		before[a] = r.stays(a, 16)
	}
	r.sync(sticky(r.rules(0, 1, 2), time.Hour))
	r.stayed(before, "another endpoint came")
	r.applier = r.newApplier()
	r.sync(sticky(r.rules(0, 1, 2), time.Hour))
	r.stayed(before, "a restart")
	r.sync(sticky(r.rules(0, 1, 2), 2*time.Hour))
	r.stayed(before, "the timeout was changed")

	client := asker{r.client, "tcp4", vip}
	first := before[client]
	others := slices.DeleteFunc([]int{0, 1, 2}, func(i int) bool { return i == first })
	r.sync(sticky(r.rules(first, others[0]), time.Hour))
	r.stayed(map[asker]int{client: first}, "another endpoint left")
	r.sync(sticky(r.rules(others...), time.Hour))
	moved := r.stays(client, 3)
	if moved == first {
		r.t.Errorf("server%d answered after it left", first)
	}
	r.sync(sticky(r.rules(0, 1, 2), time.Hour))
	r.stayed(map[asker]int{client: moved}, "its former endpoint came back")
}

// testAffinityEnds lets clients be quiet for longer than they are remembered;
// the clock is the kernel's, so the test has to wait.
func testAffinityEnds(r *rig) {
	const timeout = 2 * time.Second
	ask := []asker{{r.client, "udp4", vip}, {r.outside, "udp4", nodePort}}
	// IPVS keeps a client for as long as it keeps a connection of the client's, a
	// closed TCP connection two minutes.
	if r.applier.Mode() == proxy.ModeNFTables {
		ask = append(ask, asker{r.client, "tcp4", vip}, asker{r.outside, "tcp4", nodePort})
	}
	r.sync(sticky(r.rules(0, 1, 2), timeout))
	before := map[asker]int{}
	for _, a := range ask {
		before[a] = r.stays(a, 4)
	}
	// Use makes it last: with a request now and then it outlives its timeout.
	tick := time.NewTicker(timeout / 8)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < timeout+timeout/2; <-tick.C {
		for a, was := range before {
			if got := r.stays(a, 1); got != was {
				r.t.Fatalf("%s from %s to %s: server%d answered a client in between, want server%d", a.network, a.from.Name, a.to, got, was)
			}
		}
	}
	// A request that comes too early would make it last, so each comes later than
	// the one before.
	for wait := timeout + timeout/4; len(before) > 0; wait += timeout / 2 {
		if wait > 5*timeout {
			r.t.Fatalf("after %s without a request clients are still where they were: %v", wait, before)
		}
		<-time.After(wait)
		for a, was := range before {
			if r.stays(a, 1) != was {
				delete(before, a)
			}
		}
	}
}
