package dns_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// upstream is a server outside the cluster: names with "slow" take a while,
// "big" answers need TCP, "missing" ones do not exist.
type upstream struct {
	addr netip.AddrPort

	mu    sync.Mutex
	asked []string
}

func (u *upstream) names() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string{}, u.asked...)
}

func upstreamServer(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{addr: netip.AddrPortFrom(loopback(), port)}
	packets, err := net.ListenPacket("udp4", u.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", u.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: u}, {Listener: listener, Handler: u}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		run(t, func(ctx context.Context) error {
			stop := context.AfterFunc(ctx, func() { _ = server.Shutdown() })
			defer stop()
			return server.ActivateAndServe()
		})
		<-started
	}
	return u
}

func (u *upstream) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	name := query.Question[0].Name
	u.mu.Lock()
	u.asked = append(u.asked, name)
	u.mu.Unlock()
	reply := new(dns.Msg).SetReply(query)
	answers := 1
	switch {
	case strings.HasPrefix(name, "missing"):
		answers, reply.Rcode = 0, dns.RcodeNameError
		soa, _ := dns.NewRR("example.com. 60 IN SOA ns.example.com. host.example.com. 1 2 3 4 60")
		reply.Ns = append(reply.Ns, soa)
	case strings.HasPrefix(name, "big"):
		answers = 200
	case strings.HasPrefix(name, "slow"):
		<-time.After(100 * time.Millisecond)
	}
	for i := range answers {
		rr, _ := dns.NewRR(fmt.Sprintf("%s 60 IN A 192.0.2.%d", name, i+1))
		reply.Answer = append(reply.Answer, rr)
	}
	size := 1232
	if _, tcp := w.RemoteAddr().(*net.TCPAddr); tcp {
		size = dns.MaxMsgSize
	}
	reply.Truncate(size)
	_ = w.WriteMsg(reply)
}

func TestForwarding(t *testing.T) {
	u := upstreamServer(t)
	server := serve(t, u.addr)
	for range 3 {
		if got := data(ask(t, "udp", server, "www.example.com.", dns.TypeA).Answer); got != "192.0.2.1" {
			t.Errorf("www.example.com is %s", got)
		}
		if reply := ask(t, "udp", server, "missing.example.com.", dns.TypeA); reply.Rcode != dns.RcodeNameError {
			t.Errorf("missing.example.com: %s", dns.RcodeToString[reply.Rcode])
		}
		if reply := ask(t, "tcp", server, "big.example.com.", dns.TypeA); len(reply.Answer) != 200 {
			t.Errorf("big.example.com has %d addresses, want 200", len(reply.Answer))
		}
	}
	// One question each, and one more by TCP for the big one.
	if asked := u.names(); len(asked) != 4 {
		t.Errorf("upstream was asked for %v, want each once", asked)
	}
}

func TestSimultaneousQuestionsAreOne(t *testing.T) {
	u := upstreamServer(t)
	server := serve(t, u.addr)
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			if got := data(ask(t, "udp", server, "slow.example.com.", dns.TypeA).Answer); got != "192.0.2.1" {
				t.Errorf("slow.example.com is %s", got)
			}
		})
	}
	clients.Wait()
	if asked := u.names(); len(asked) != 1 {
		t.Errorf("upstream was asked %d times, want once", len(asked))
	}
}

func TestUpstreamsThatFail(t *testing.T) {
	u := upstreamServer(t)
	closed := netip.AddrPortFrom(loopback(), port)
	if got := data(ask(t, "udp", serve(t, closed, u.addr), "www.example.com.", dns.TypeA).Answer); got != "192.0.2.1" {
		t.Errorf("with one of two upstreams gone: %q", got)
	}
	if reply := ask(t, "udp", serve(t, closed), "www.example.com.", dns.TypeA); reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("with all upstreams gone: %s", dns.RcodeToString[reply.Rcode])
	}
	if reply := ask(t, "udp", serve(t), "www.example.com.", dns.TypeA); reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("without upstreams: %s", dns.RcodeToString[reply.Rcode])
	}
}
