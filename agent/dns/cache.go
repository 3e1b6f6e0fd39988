package dns

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/miekg/dns"
)

const (
	cacheSize   = 4096 // answers
	cacheMax    = 5 * time.Minute
	negativeMax = 30 * time.Second
)

type cacheKey struct {
	name   string
	qtype  uint16
	dnssec bool
}

type cached struct {
	reply   *dns.Msg
	stored  time.Time
	expires time.Time
}

// cache holds the upstream answers used last.
type cache struct{ entries *lru.Cache[cacheKey, cached] }

func newCache() (*cache, error) {
	entries, err := lru.New[cacheKey, cached](cacheSize)
	return &cache{entries}, err
}

// get returns a copy with what is left of the records' time to live.
func (c *cache) get(key cacheKey, now time.Time) (*dns.Msg, bool) {
	found, ok := c.entries.Get(key)
	if !ok || !now.Before(found.expires) {
		return nil, false
	}
	reply := found.reply.Copy()
	age := uint32(now.Sub(found.stored) / time.Second)
	for _, section := range [][]dns.RR{reply.Answer, reply.Ns, reply.Extra} {
		for _, rr := range section {
			h := rr.Header()
			h.Ttl -= min(age, h.Ttl)
		}
	}
	return reply, true
}

func (c *cache) put(key cacheKey, reply *dns.Msg, now time.Time) {
	if life := lifetime(reply); life > 0 {
		c.entries.Add(key, cached{reply.Copy(), now, now.Add(life)})
	}
}

// lifetime is the shortest time to live of the answers, or what the SOA record
// says for there being none (RFC 2308).
func lifetime(reply *dns.Msg) time.Duration {
	if reply.Truncated || reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return 0
	}
	if len(reply.Answer) > 0 {
		life := cacheMax
		for _, rr := range reply.Answer {
			life = min(life, time.Duration(rr.Header().Ttl)*time.Second)
		}
		return life
	}
	for _, rr := range reply.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(negativeMax, time.Duration(min(soa.Minttl, soa.Hdr.Ttl))*time.Second)
		}
	}
	return 0
}
