//go:build root

package conformance

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/musterhq/muster/agent/network/nettest"
)

// echo sends a line on an open connection and wants it back.
func (r *rig) echo(conn net.Conn, lines *bufio.Reader, text string) {
	r.t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := fmt.Fprintln(conn, text); err != nil {
		r.t.Fatalf("send on an old connection: %v", err)
	}
	if got, err := lines.ReadString('\n'); err != nil || got != text+"\n" {
		r.t.Fatalf("old connection answered %q, %v; want %q", got, err, text)
	}
}

func testDraining(r *rig) {
	r.sync(r.rules(0))
	conn, err := r.client.Dial("tcp4", vip, patience)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	if _, err := lines.ReadString('\n'); err != nil {
		r.t.Fatal(err)
	}
	r.echo(conn, lines, "before")
	rules := r.rules(1)
	for i := range rules.Services {
		rules.Services[i].Draining = []netip.AddrPort{r.endpoints[0]}
	}
	r.sync(rules)
	r.echo(conn, lines, "while it drains")
	for range 5 {
		if got := r.ask(r.client, "tcp4", vip).Server; got != "server1" {
			r.t.Errorf("%s answered a new connection, want only server1", got)
		}
	}
	r.sync(r.rules(1))
	r.echo(conn, lines, "after it left the service")
}

func testUDPFollows(r *rig) {
	r.sync(r.rules(0))
	conn, err := r.client.Dial("udp4", vip, patience)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, server := range []int{0, 1, 2, 0} {
		r.sync(r.rules(server))
		answer, err := nettest.Exchange(conn, patience)
		if err != nil || answer.Server != fmt.Sprintf("server%d", server) {
			r.t.Errorf("the same socket got %q, %v; want server%d", answer.Server, err, server)
		}
	}
}

func testRepair(r *rig) {
	rules := r.rules(0, 1, 2)
	r.sync(rules)
	r.ask(r.client, "tcp4", vip)
	r.node.Do(r.t, r.suite.Sabotage)
	r.sync(rules)
	for _, network := range networks {
		r.spread(r.client, network, vip, 3)
		r.spread(r.outside, network, nodePort, 3)
		r.spread(r.node, network, vip, 3)
	}
}

// testAdopt starts a second applier over what the first one left.
func testAdopt(r *rig) {
	gone := r.rules(0, 1)
	for i := range gone.Services {
		gone.Services[i].Port = 81
		gone.Services[i].NodePort = 30081
	}
	both := r.rules(0, 1)
	both.Services = append(both.Services, gone.Services...)
	r.sync(both)
	conn, err := r.client.Dial("tcp4", vip, patience)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	if _, err := lines.ReadString('\n'); err != nil {
		r.t.Fatal(err)
	}
	r.applier = r.newApplier()
	r.sync(r.rules(1, 2))
	r.echo(conn, lines, "still here")
	r.spread(r.client, "tcp4", vip, 2)
	r.refused(r.client, "tcp4", netip.AddrPortFrom(vip.Addr(), 81))
	r.refused(r.outside, "tcp4", netip.AddrPortFrom(nodeIP, 30081))
}

func testCleanup(r *rig) {
	leftovers := func() (out []string) {
		r.node.Do(r.t, func() (err error) {
			out, err = r.suite.Leftovers()
			return err
		})
		return out
	}
	r.node.Do(r.t, r.suite.Foreign)
	before := leftovers()
	if len(before) == 0 {
		r.t.Error("nothing foreign is to be seen, so that nobody would notice its loss")
	}
	r.sync(sticky(r.rules(0, 1, 2), time.Hour))
	if len(leftovers()) <= len(before) {
		r.t.Error("nothing of the applier's is to be seen, so that nobody would notice it later")
	}
	for range 2 { // also when there is nothing
		r.node.Do(r.t, func() error { return r.applier.Cleanup(context.Background()) })
		if after := leftovers(); !slices.Equal(after, before) {
			r.t.Errorf("cleanup left %v, want %v", after, before)
		}
	}
	r.sync(r.rules(0, 1, 2))
	r.spread(r.client, "tcp4", vip, 3)
}

func testThousand(r *rig) {
	rules := r.rules(0, 1, 2)
	for i := range 1000 {
		service := rules.Services[0]
		service.Name = fmt.Sprintf("default/many-%d:", i)
		service.ClusterIP = netip.AddrFrom4([4]byte{10, 100, byte(i >> 8), byte(i)})
		service.NodePort = 0
		rules.Services = append(rules.Services, service)
	}
	start := time.Now()
	r.sync(rules)
	first := time.Since(start)
	rules.Services[500].Endpoints = r.endpoints[:2]
	start = time.Now()
	r.sync(rules)
	change := time.Since(start)
	start = time.Now()
	r.sync(rules)
	r.t.Logf("1,000 services of 3 endpoints: first %s, one changed %s, none changed %s", first, change, time.Since(start))
	r.spread(r.client, "tcp4", netip.MustParseAddrPort("10.100.3.231:80"), 3)
	r.spread(r.client, "tcp4", netip.AddrPortFrom(rules.Services[500].ClusterIP, 80), 2)
}
