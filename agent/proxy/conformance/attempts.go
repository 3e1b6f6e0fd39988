//go:build root

package conformance

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// testAttemptsFollow wants that a client who is knocking at an endpoint that does
// not answer gets to another one as soon as that endpoint leaves: a node's death
// costs its clients time, and no request.
func testAttemptsFollow(r *rig) {
	r.sync(r.rules(1))
	r.servers[1].Do(r.t, loseRoutes)
	clients := []struct {
		from *nettest.Namespace
		to   netip.AddrPort
	}{{r.client, vip}, {r.node, vip}, {r.outside, nodePort}}
	begin := time.Now()
	results := make(chan error)
	for _, c := range clients {
		go func() {
			// TCP knocks again after 1, 3 and 7 seconds.
			answer, err := c.from.Ask("tcp4", c.to, 10*time.Second)
			if err == nil && answer.Server != "server0" {
				err = fmt.Errorf("%s answered, want server0", answer.Server)
			}
			if err != nil {
				err = fmt.Errorf("from %s to %s: %w", c.from.Name, c.to, err)
			}
			results <- err
		}()
	}
	r.awaitAttempts(len(clients))
	r.sync(r.rules(0))
	for range clients {
		if err := <-results; err != nil {
			r.t.Error(err)
		}
	}
	r.t.Logf("all answered %s after the first attempt", time.Since(begin))
}

// loseRoutes makes a pod silent: what reaches it is answered to nowhere.
func loseRoutes() error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if err := netlink.RouteDel(&route); err != nil {
			return err
		}
	}
	return nil
}

// awaitAttempts returns when n connections wait for a first answer.
func (r *rig) awaitAttempts(n int) {
	r.t.Helper()
	waiting := 0
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		waiting = 0
		r.node.Do(r.t, func() error {
			flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
			for _, flow := range flows {
				const synSent = 1 // of linux/netfilter/nf_conntrack_tcp.h
				if tcp, ok := flow.ProtoInfo.(*netlink.ProtoInfoTCP); ok && tcp.State == synSent {
					waiting++
				}
			}
			return err
		})
		if waiting >= n {
			return
		}
	}
	r.t.Fatalf("%d connections wait for an answer, want %d", waiting, n)
}
