package dns

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

const (
	ttl         = 5 // seconds; short, because endpoints come and go
	specVersion = "1.1.0"
)

// zone answers the names of the cluster's domain and of its addresses. It has
// no state of its own.
type zone struct {
	domain   string // with the final dot
	services Services
	slices   EndpointSlices
	ours     []netip.Prefix
}

// result of a lookup. No answers and no error code mean that the name exists and
// has nothing of that type.
type result struct {
	rcode  int
	answer []dns.RR
	extra  []dns.RR
	alias  string // the target of a CNAME in answer, to be followed
}

var notFound = result{rcode: dns.RcodeNameError}

// lookup answers a question, or says that it is not ours to answer.
func (z zone) lookup(q dns.Question) (r result, ours bool) {
	name := dns.CanonicalName(q.Name)
	if addr, ok := reverseAddr(name); ok {
		return z.reverse(q, addr)
	}
	if !under(name, z.domain) {
		return result{}, false
	}
	labels := strings.Split(strings.TrimSuffix(strings.TrimSuffix(name, z.domain), "."), ".")
	switch last := labels[len(labels)-1]; {
	case name == z.domain:
		return z.apex(q), true
	case last == "dns-version" && len(labels) == 1:
		return z.version(q), true
	case last == "svc":
		return z.service(q, labels[:len(labels)-1]), true
	case last == "pod":
		return z.pod(q, labels[:len(labels)-1]), true
	default:
		return notFound, true
	}
}

func header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

func address(name string, a netip.Addr) dns.RR {
	return &dns.A{Hdr: header(name, dns.TypeA), A: a.AsSlice()}
}

func (z zone) soa() dns.RR {
	return &dns.SOA{Hdr: header(z.domain, dns.TypeSOA), Ns: "ns.dns." + z.domain, Mbox: "hostmaster." + z.domain,
		Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl}
}

func (z zone) apex(q dns.Question) result {
	switch q.Qtype {
	case dns.TypeSOA:
		return result{answer: []dns.RR{z.soa()}}
	case dns.TypeNS:
		return result{answer: []dns.RR{&dns.NS{Hdr: header(q.Name, dns.TypeNS), Ns: "ns.dns." + z.domain}}}
	default:
		return result{}
	}
}

func (z zone) version(q dns.Question) result {
	if q.Qtype != dns.TypeTXT {
		return result{}
	}
	return result{answer: []dns.RR{&dns.TXT{Hdr: header(q.Name, dns.TypeTXT), Txt: []string{specVersion}}}}
}

// pod answers 10-244-1-2.<namespace>.pod: the address is in the name.
func (z zone) pod(q dns.Question, labels []string) result {
	switch len(labels) {
	case 0, 1:
		return result{}
	case 2:
	default:
		return notFound
	}
	addr, err := netip.ParseAddr(strings.ReplaceAll(labels[0], "-", "."))
	if err != nil || !addr.Is4() {
		return notFound
	}
	if q.Qtype != dns.TypeA {
		return result{}
	}
	return result{answer: []dns.RR{address(q.Name, addr)}}
}

// reverse answers PTR questions for services and for endpoints with a name.
func (z zone) reverse(q dns.Question, addr netip.Addr) (result, bool) {
	var names []string
	for _, s := range z.services.ByIndex(indexAddress, addr.String()) {
		names = append(names, fmt.Sprintf("%s.%s.svc.%s", s.Name, s.Namespace, z.domain))
	}
	for _, slice := range z.slices.ByIndex(indexAddress, addr.String()) {
		names = append(names, z.endpointNames(slice, addr)...)
	}
	if len(names) == 0 {
		for _, p := range z.ours {
			if p.IsValid() && p.Contains(addr) {
				return notFound, true
			}
		}
		return result{}, false
	}
	if q.Qtype != dns.TypePTR {
		return result{}, true
	}
	var r result
	for _, name := range names {
		r.answer = append(r.answer, &dns.PTR{Hdr: header(q.Name, dns.TypePTR), Ptr: name})
	}
	return r, true
}

// reverseAddr reads the address from 2.1.244.10.in-addr.arpa.
func reverseAddr(name string) (netip.Addr, bool) {
	digits, ok := strings.CutSuffix(name, ".in-addr.arpa.")
	if !ok {
		return netip.Addr{}, false
	}
	parts := strings.Split(digits, ".")
	if len(parts) != 4 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0])
	return addr, err == nil
}
