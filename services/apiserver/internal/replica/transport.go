package replica

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// ioTimeout bounds a Raft call, so that a peer that is cut off is tried anew
// soon after it is back. Snapshots get more, by their size.
const ioTimeout = 4 * time.Second

// streams gives hashicorp/raft its share of the port.
type streams struct {
	*lane
	advertise address
	dialer    dialer
	self      func(protocol string) (net.Conn, error) // dials advertise
	calling   context.Context                         // ends when Raft is to end
}

// Addr returns what the others know this member by.
func (s streams) Addr() net.Addr { return s.advertise }

// Dial connects to another member.
func (s streams) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	if address(to) == s.advertise {
		return s.self(protocolRaft)
	}
	ctx, cancel := context.WithTimeout(s.calling, timeout)
	defer cancel()
	conn, err := s.dialer.dial(ctx, string(to), protocolRaft)
	if err != nil {
		return nil, err
	}
	return call{conn, context.AfterFunc(s.calling, func() { _ = conn.Close() })}, nil
}

// call is a connection to another member. It is closed when Raft is to end, which
// would wait for an answer as long as for one that comes.
type call struct {
	net.Conn
	forget func() bool
}

// Close ends the call.
func (c call) Close() error {
	c.forget()
	return c.Conn.Close()
}

func (r *Replica) newTransport() *transport {
	calling, hangUp := context.WithCancel(context.Background())
	t := newTransport(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: streams{
			lane:      r.mux.lanes[protocolRaft],
			advertise: address(r.config.Advertise),
			dialer:    r.dialer,
			self:      r.mux.self,
			calling:   calling,
		},
		MaxPool:                 poolSize,
		Timeout:                 ioTimeout,
		MsgpackUseNewTimeFormat: true,
		Logger:                  newRaftLogger(r.config.Logger),
	}), r.storage.stall, r.storage.logs.reached)
	t.hangUp = hangUp
	return t
}

// address is a host:port.
type address string

// Network names what the address belongs to.
func (address) Network() string { return "tcp" }

// String returns host:port.
func (a address) String() string { return string(a) }
