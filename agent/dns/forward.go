package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

const upstreamTimeout = 2 * time.Second

// forwarder asks upstream servers, one question at a time however many clients
// have it, and remembers the answers for as long as they say.
type forwarder struct {
	self   netip.AddrPort
	fixed  []netip.AddrPort
	path   string
	logger *slog.Logger
	cache  *cache
	flight singleflight.Group

	mu       sync.Mutex
	read     time.Time // modification time of path when it was read
	upstream []netip.AddrPort
}

func newForwarder(cfg Config, self netip.AddrPort, logger *slog.Logger) (*forwarder, error) {
	c, err := newCache()
	if err != nil {
		return nil, err
	}
	return &forwarder{self: self, fixed: cfg.Upstreams, path: cfg.ResolvConf, logger: logger, cache: c}, nil
}

// resolve answers from the cache or from upstream. There is always a reply:
// SERVFAIL where no upstream gave one.
func (f *forwarder) resolve(ctx context.Context, query *dns.Msg) *dns.Msg {
	question := query.Question[0]
	key := cacheKey{dns.CanonicalName(question.Name), question.Qtype, wantsDNSSEC(query)}
	found, ok := f.cache.get(key, time.Now())
	if !ok {
		value, err, _ := f.flight.Do(fmt.Sprint(key), func() (any, error) { return f.ask(ctx, key) })
		if err != nil {
			f.logger.Debug("no upstream answered", "name", question.Name, "error", err)
			return new(dns.Msg).SetRcode(query, dns.RcodeServerFailure)
		}
		found = value.(*dns.Msg).Copy()
	}
	found.Id, found.Question, found.RecursionDesired = query.Id, query.Question, query.RecursionDesired
	return found
}

func wantsDNSSEC(m *dns.Msg) bool {
	opt := m.IsEdns0()
	return opt != nil && opt.Do()
}

// ask tries the upstreams in order.
func (f *forwarder) ask(ctx context.Context, key cacheKey) (*dns.Msg, error) {
	upstreams, err := f.upstreams()
	if err != nil {
		return nil, err
	}
	err = fmt.Errorf("no upstream server in %s", f.path)
	for _, upstream := range upstreams {
		query := new(dns.Msg)
		query.SetQuestion(key.name, key.qtype)
		query.SetEdns0(1232, key.dnssec)
		var reply *dns.Msg
		if reply, err = exchange(ctx, query, upstream); err != nil {
			continue
		}
		if reply.Rcode == dns.RcodeServerFailure || reply.Rcode == dns.RcodeRefused {
			err = fmt.Errorf("%s answered %s", upstream, dns.RcodeToString[reply.Rcode])
			continue
		}
		reply = withoutOPT(reply)
		reply.Authoritative = false
		f.cache.put(key, reply, time.Now())
		return reply, nil
	}
	return nil, err
}

// exchange asks by UDP, and by TCP where the answer does not fit.
func exchange(ctx context.Context, query *dns.Msg, upstream netip.AddrPort) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*upstreamTimeout)
	defer cancel()
	client := dns.Client{Net: "udp", Timeout: upstreamTimeout}
	reply, _, err := client.ExchangeContext(ctx, query, upstream.String())
	if err == nil && reply.Truncated {
		client.Net = "tcp"
		reply, _, err = client.ExchangeContext(ctx, query, upstream.String())
	}
	return reply, err
}

// withoutOPT removes the record that is between us and the upstream server.
func withoutOPT(m *dns.Msg) *dns.Msg {
	var extra []dns.RR
	for _, rr := range m.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			extra = append(extra, rr)
		}
	}
	m.Extra = extra
	return m
}

// upstreams reads the resolver's configuration when it is new. The server
// itself is never among them.
func (f *forwarder) upstreams() ([]netip.AddrPort, error) {
	if f.fixed != nil {
		return f.fixed, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, fmt.Errorf("read upstream servers: %w", err)
	}
	if info.ModTime().Equal(f.read) {
		return f.upstream, nil
	}
	conf, err := dns.ClientConfigFromFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("read upstream servers: %w", err)
	}
	port, err := strconv.ParseUint(conf.Port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("read upstream servers: %w", err)
	}
	f.upstream, f.read = nil, info.ModTime()
	for _, server := range conf.Servers {
		addr, err := netip.ParseAddr(server)
		if at := netip.AddrPortFrom(addr, uint16(port)); err == nil && at != f.self {
			f.upstream = append(f.upstream, at)
		}
	}
	return f.upstream, nil
}
