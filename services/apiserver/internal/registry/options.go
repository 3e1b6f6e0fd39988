package registry

import (
	"net/netip"
	"time"
)

// Options are the cluster's own numbers that kinds need to know.
type Options struct {
	// ServiceCIDR is where cluster IPs come from; 10.96.0.0/12 when not given.
	ServiceCIDR netip.Prefix
	// NodePorts is where node ports come from; 30000-32767 when not given.
	NodePorts PortRange
	// EventTTL is how long an event is kept after it was last written; 1 h, as
	// with Kubernetes' --event-ttl, when not given.
	EventTTL time.Duration
}

// PortRange is a range of ports, both ends included.
type PortRange struct {
	First, Last int32
}

// Contains tells whether the port lies in the range.
func (r PortRange) Contains(port int32) bool { return port >= r.First && port <= r.Last }

// Size is how many ports the range has.
func (r PortRange) Size() int { return int(r.Last-r.First) + 1 }

func (o Options) WithDefaults() Options {
	if !o.ServiceCIDR.IsValid() {
		o.ServiceCIDR = netip.MustParsePrefix("10.96.0.0/12")
	}
	if o.NodePorts == (PortRange{}) {
		o.NodePorts = PortRange{First: 30000, Last: 32767}
	}
	if o.EventTTL == 0 {
		o.EventTTL = time.Hour
	}
	return o
}
