//go:build root

package conformance

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/musterhq/muster/agent/network/nettest"
	"github.com/musterhq/muster/agent/proxy"
)

var networks = []string{"tcp4", "udp4"}

// spread makes requests and wants an answer from each of the servers.
func (r *rig) spread(from *nettest.Namespace, network string, to netip.AddrPort, servers int) {
	r.t.Helper()
	const requests = 60
	seen := map[string]int{}
	for range requests {
		seen[r.ask(from, network, to).Server]++
	}
	if len(seen) != servers {
		r.t.Errorf("%s from %s to %s: %v answered, want %d servers", network, from.Name, to, seen, servers)
	}
	for name, n := range seen {
		if n < requests/servers/4 {
			r.t.Errorf("%s from %s to %s: %s answered %d of %d", network, from.Name, to, name, n, requests)
		}
	}
}

func testClusterIP(r *rig) {
	r.sync(r.rules(0, 1, 2))
	for _, network := range networks {
		r.spread(r.client, network, vip, 3)
		r.spread(r.node, network, vip, 3)
	}
}

func testSourceAddress(r *rig) {
	r.sync(r.rules(0, 1))
	for _, network := range networks {
		for range 6 {
			if got := r.ask(r.client, network, vip).Client.Addr(); got != r.clientIP {
				r.t.Errorf("%s: the server saw %s, want the pod's address %s", network, got, r.clientIP)
			}
		}
	}
	rules := r.rules(0)
	for i := range rules.Services {
		rules.Services[i].ClusterIP, rules.Services[i].Port = netip.Addr{}, 0
		rules.Services[i].PreserveSource = true
	}
	r.sync(rules)
	want := netip.MustParseAddr("192.168.77.9")
	for _, network := range networks {
		if got := r.ask(r.outside, network, nodePort).Client.Addr(); got != want {
			r.t.Errorf("%s to the node port: the server saw %s, want %s", network, got, want)
		}
	}
}

func testHairpin(r *rig) {
	r.sync(r.rules(0))
	for _, network := range networks {
		if got := r.ask(r.servers[0], network, vip).Server; got != "server0" {
			r.t.Errorf("%s: %s answered, want the pod itself", network, got)
		}
	}
}

// testWithoutBridgeNetfilter hides bridged frames from netfilter: pods on one
// bridge must reach each other and themselves through a service all the same.
func testWithoutBridgeNetfilter(r *rig) {
	const setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	r.node.Do(r.t, func() error {
		err := os.WriteFile(setting, []byte("0"), 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // they are hidden anyway
		}
		return err
	})
	testClusterIP(r)
	testHairpin(r)
}

func testNodePort(r *rig) {
	r.sync(r.rules(0, 1, 2))
	for _, network := range networks {
		r.spread(r.outside, network, nodePort, 3)
		r.spread(r.node, network, nodePort, 3)
		r.spread(r.client, network, nodePort, 3)
	}
}

func testNoEndpoints(r *rig) {
	for _, rules := range []proxy.Rules{r.rules(), r.rules(0), r.rules()} {
		r.sync(rules)
		if len(rules.Services[0].Endpoints) > 0 {
			r.ask(r.client, "tcp4", vip)
			continue
		}
		for _, network := range networks {
			r.refused(r.client, network, vip)
			r.refused(r.node, network, vip)
			r.refused(r.outside, network, nodePort)
			r.refused(r.client, network, nodePort)
			r.refused(r.node, network, nodePort)
		}
	}
}

func testUnknown(r *rig) {
	r.sync(r.rules(0))
	for _, network := range networks {
		for _, to := range []string{"10.96.7.7:81", "10.96.9.9:80"} {
			r.refused(r.client, network, netip.MustParseAddrPort(to))
			r.refused(r.node, network, netip.MustParseAddrPort(to))
		}
	}
}

// testHostPorts wants that a service's address never leads to what listens on
// the node itself.
func testHostPorts(r *rig) {
	r.node.Serve(r.t, netip.MustParseAddrPort("0.0.0.0:2222"))
	r.sync(r.rules(0))
	for _, network := range networks {
		r.refused(r.client, network, netip.AddrPortFrom(vip.Addr(), 2222))
		r.ask(r.outside, network, netip.AddrPortFrom(nodeIP, 2222))
	}
}

func testEndpointsChange(r *rig) {
	r.sync(r.rules(0, 1, 2))
	stop, results := make(chan struct{}), make(chan error)
	requests := 0
	go func() {
		defer close(results)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, err := r.client.Ask("tcp4", vip, patience)
			requests++
			if err != nil {
				results <- err
				return
			}
		}
	}()
	end := time.Now().Add(2 * time.Second)
	changes := 0
	for ; time.Now().Before(end); changes++ {
		r.sync(r.rules([][]int{{0, 1}, {0, 1, 2}, {1}, {1, 2}, {0, 1, 2}}[changes%5]...))
	}
	close(stop)
	for err := range results {
		r.t.Errorf("a request was lost after %d: %v", requests, err)
	}
	r.t.Logf("%d requests during %d changes, none lost", requests, changes)
	r.sync(r.rules(0, 2))
	r.spread(r.client, "tcp4", vip, 2)
}
