// Package proxy makes service addresses reach pods. It computes the desired
// rules as plain data from Services and EndpointSlices; an Applier (nftables or
// ipvs) makes the kernel agree. Both appliers pass one conformance suite.
package proxy

import (
	"context"
	"net/netip"
	"time"
)

// Protocol of a service port.
type Protocol string

// The protocols that services may use.
const (
	TCP Protocol = "TCP"
	UDP Protocol = "UDP"
)

// Rules is all that the kernel shall hold, sorted so that equal rules are equal values.
type Rules struct {
	Services []Service
	// NodeAddresses are the addresses that node ports answer on, loopback not among them.
	NodeAddresses []netip.Addr
	// ClusterCIDR is the pods' range: traffic from elsewhere to a service is masqueraded.
	ClusterCIDR netip.Prefix
	// ServiceCIDR is the services' range; a route for it makes node-local clients work.
	ServiceCIDR netip.Prefix
}

// Service is one port of one service.
type Service struct {
	Name      string // namespace/service:port, for messages
	Protocol  Protocol
	ClusterIP netip.Addr // the zero Addr for none
	Port      uint16
	NodePort  uint16 // 0 for none
	// Affinity is how long a client stays with an endpoint; 0 for no affinity.
	Affinity  time.Duration
	Endpoints []netip.AddrPort // ready ones, sorted; none: connections are refused
	// Draining endpoints take no new connections and keep those they have.
	Draining []netip.AddrPort
	// PreserveSource keeps the client's address on the node port
	// (externalTrafficPolicy Local: the endpoints are all on this node).
	PreserveSource bool
}

// Applier makes the kernel's rules those that it is given. Sync and Cleanup are
// called from one goroutine. It owns its table (or its virtual servers) and
// touches nothing else.
type Applier interface {
	// Sync applies rules in one step: a connection sees the old or the new
	// ones, never none. It repairs what others changed.
	Sync(ctx context.Context, rules Rules) error
	// Cleanup removes all that Sync made, also what an earlier process made.
	Cleanup(ctx context.Context) error
	// Mode is "nftables" or "ipvs".
	Mode() string
}
