// Package dns answers the cluster's names on every node, from the agent's own
// view of Services and EndpointSlices, and forwards the others. What it answers
// is Kubernetes' DNS specification 1.1.0.
package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Services is the view of Services that the server answers from. An informer
// with the indexes of AddIndexes is one. It is called from many goroutines.
type Services interface {
	Get(namespace, name string) (*corev1.Service, bool)
	ByIndex(index, value string) []*corev1.Service
}

// EndpointSlices is the view of EndpointSlices, with the indexes of AddIndexes.
type EndpointSlices interface {
	ByIndex(index, value string) []*discoveryv1.EndpointSlice
}

// Config of a Server.
type Config struct {
	// Address is the cluster DNS address, held by Device, a dummy device that
	// Run makes. With no Device, the address must be there already.
	Address netip.Addr
	Device  string
	Port    uint16 // 53 if zero
	Domain  string // "cluster.local" if empty

	Services       Services
	EndpointSlices EndpointSlices
	// ServiceCIDR and ClusterCIDR are the ranges whose reverse names are ours:
	// an address without a name there is NXDOMAIN, not a question for others.
	ServiceCIDR netip.Prefix
	ClusterCIDR netip.Prefix

	// ResolvConf names the upstream servers; "/etc/resolv.conf" if empty. It is
	// read again when it changes. Upstreams, where given, are used instead.
	ResolvConf string
	Upstreams  []netip.AddrPort

	Logger *slog.Logger
}

// Server is the DNS server of one node.
type Server struct {
	cfg     Config
	zone    zone
	forward *forwarder
	logger  *slog.Logger
	ready   chan struct{}
	ctx     context.Context // of Run; ends the questions to upstream servers
}

// New checks the configuration.
func New(cfg Config) (*Server, error) {
	if cfg.Port == 0 {
		cfg.Port = 53
	}
	if cfg.Domain == "" {
		cfg.Domain = "cluster.local"
	}
	if cfg.ResolvConf == "" {
		cfg.ResolvConf = "/etc/resolv.conf"
	}
	switch {
	case !cfg.Address.Is4():
		return nil, fmt.Errorf("new dns server: address %q is not IPv4", cfg.Address)
	case cfg.Services == nil || cfg.EndpointSlices == nil || cfg.Logger == nil:
		return nil, errors.New("new dns server: services, endpoint slices and logger are required")
	}
	logger := cfg.Logger.With("component", "dns")
	self := netip.AddrPortFrom(cfg.Address, cfg.Port)
	forward, err := newForwarder(cfg, self, logger)
	if err != nil {
		return nil, fmt.Errorf("new dns server: %w", err)
	}
	return &Server{cfg: cfg, logger: logger, forward: forward, ready: make(chan struct{}),
		zone: zone{domain: dns.CanonicalName(cfg.Domain), services: cfg.Services, slices: cfg.EndpointSlices,
			ours: []netip.Prefix{cfg.ServiceCIDR, cfg.ClusterCIDR}}}, nil
}

// Ready is closed when the server answers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run serves UDP and TCP until ctx ends. The device stays, so that a restart of
// the agent does not make its address unreachable; RemoveDevice removes it.
func (s *Server) Run(ctx context.Context) error {
	if s.cfg.Device != "" {
		if err := ensureDevice(s.cfg.Device, s.cfg.Address); err != nil {
			return fmt.Errorf("dns device %s: %w", s.cfg.Device, err)
		}
	}
	address := netip.AddrPortFrom(s.cfg.Address, s.cfg.Port).String()
	var listen net.ListenConfig
	packets, err := listen.ListenPacket(ctx, "udp4", address)
	if err != nil {
		return fmt.Errorf("serve dns: %w", err)
	}
	listener, err := listen.Listen(ctx, "tcp4", address)
	if err != nil {
		return errors.Join(fmt.Errorf("serve dns: %w", err), packets.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	s.ctx = ctx
	servers := []*dns.Server{
		{PacketConn: packets, Handler: s, UDPSize: dns.DefaultMsgSize},
		{Listener: listener, Handler: s, ReadTimeout: 10 * time.Second, MaxTCPQueries: -1},
	}
	for _, server := range servers {
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		group.Go(func() error {
			defer close(ended)
			if err := server.ActivateAndServe(); err != nil && ctx.Err() == nil {
				return fmt.Errorf("serve dns: %w", err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			select {
			case <-started: // one that is not cannot be shut down
			case <-ended:
				return nil
			}
			// The deadline is for connections that are idle, not for answers.
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = server.ShutdownContext(stop)
			return nil
		})
	}
	close(s.ready)
	return group.Wait()
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	reply := new(dns.Msg)
	switch {
	case query.Opcode != dns.OpcodeQuery:
		reply.SetRcode(query, dns.RcodeNotImplemented)
	case len(query.Question) != 1:
		reply.SetRcode(query, dns.RcodeFormatError)
	case query.Question[0].Qclass != dns.ClassINET:
		reply.SetRcode(query, dns.RcodeRefused)
	default:
		reply = s.answer(query)
	}
	size := dns.MaxMsgSize
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size = dns.MinMsgSize
	}
	if opt := query.IsEdns0(); opt != nil {
		if size == dns.MinMsgSize {
			size = max(size, int(opt.UDPSize()))
		}
		if reply.IsEdns0() == nil {
			reply.SetEdns0(dns.DefaultMsgSize, opt.Do())
		}
	}
	reply.Truncate(size) // sets TC where something had to go: the client asks by TCP
	if err := w.WriteMsg(reply); err != nil {
		s.logger.Debug("answer not sent", "client", w.RemoteAddr(), "error", err)
	}
}

// answer gives the reply to a well-formed query.
func (s *Server) answer(query *dns.Msg) *dns.Msg {
	question := query.Question[0]
	found, ours := s.zone.lookup(question)
	if !ours {
		return s.forward.resolve(s.ctx, query)
	}
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.Authoritative, reply.RecursionAvailable = true, true
	reply.Rcode, reply.Answer, reply.Extra = found.rcode, found.answer, found.extra
	// Clients take the first address: each gets another one.
	rand.Shuffle(len(reply.Answer), func(i, j int) { reply.Answer[i], reply.Answer[j] = reply.Answer[j], reply.Answer[i] })
	if found.alias != "" && question.Qtype != dns.TypeCNAME {
		s.follow(reply, found.alias, question.Qtype)
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{s.zone.soa()}
	}
	return reply
}

// follow adds what the target of an ExternalName service resolves to.
func (s *Server) follow(reply *dns.Msg, target string, qtype uint16) {
	for range 4 { // a chain of services that name each other ends somewhere
		question := dns.Question{Name: target, Qtype: qtype, Qclass: dns.ClassINET}
		found, ours := s.zone.lookup(question)
		if !ours {
			query := new(dns.Msg)
			query.SetQuestion(target, qtype)
			reply.Answer = append(reply.Answer, s.forward.resolve(s.ctx, query).Answer...)
			return
		}
		reply.Answer = append(reply.Answer, found.answer...)
		if found.alias == "" {
			return
		}
		target = found.alias
	}
}

// under tells whether name is the zone or inside it.
func under(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, "."+zone)
}
