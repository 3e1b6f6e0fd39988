package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// protocolPast is what a member answers a caller of an earlier epoch,
// protocolFuture what it answers one of a later epoch. Nothing is spoken then.
const (
	protocolPast   = "muster-past"
	protocolFuture = "muster-future"
)

// era is the epoch of the cluster that a member lives in. A recovery from the
// loss of a majority begins the next one, with one member; the others may hold a
// majority of the old one, and must not go on with it. So the names of the
// protocols say the epoch, and whoever finds out that there is a later one than
// his own is at his end.
type era struct {
	epoch uint64
	end   func()
}

// name is what a protocol is called in this epoch.
func (e *era) name(protocol string) string {
	if e.epoch == 0 {
		return protocol
	}
	return fmt.Sprintf("%s/%d", protocol, e.epoch)
}

// parse is the reverse of name.
func parse(name string) (protocol string, epoch uint64) {
	protocol, number, ok := strings.Cut(name, "/")
	if !ok {
		return protocol, 0
	}
	epoch, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return "", 0
	}
	return protocol, epoch
}

// server makes a configuration that tells callers of an earlier epoch so, and
// lets those of a later one say who they are: only a certificate of the cluster
// makes the word of one count.
func (e *era) server(config *tls.Config) *tls.Config {
	base := config.Clone()
	base.NextProtos = []string{e.name(protocolRaft), e.name(protocolRPC)}
	out := base.Clone()
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		for _, offered := range hello.SupportedProtos {
			if protocol, epoch := parse(offered); (protocol == protocolRaft || protocol == protocolRPC) && epoch != e.epoch {
				other := base.Clone()
				other.NextProtos = []string{protocolPast}
				if epoch > e.epoch {
					other.NextProtos = []string{protocolFuture}
				}
				return other, nil
			}
		}
		return base, nil
	}
	return out
}

// admits tells which protocol a peer, whose certificate was verified, speaks, and
// whether it is of this epoch.
func (e *era) admits(name string) (protocol string, ours bool) {
	if name == protocolFuture {
		e.end()
	}
	protocol, epoch := parse(name)
	return protocol, epoch == e.epoch
}

// offers are the names that a caller goes by.
func (e *era) offers(protocol string) []string {
	return []string{e.name(protocol), protocolPast, protocolFuture}
}

// answered tells a caller whether the member that it called, whose certificate
// was verified, is of this epoch.
func (e *era) answered(name string) error {
	switch name {
	case protocolPast:
		e.end()
		return ErrSuperseded
	case protocolFuture:
		return errors.New("it is of the cluster before it was recovered")
	}
	return nil
}

// Epoch is how often the cluster had been recovered from the loss of its
// majority.
func (r *Replica) Epoch() uint64 { return r.era.epoch }

// greet calls all other members once, before this one can stand for election: if
// the cluster was recovered without it, one of them will say so.
func (r *Replica) greet(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	for _, m := range r.Members() {
		if m.ID != r.config.ID {
			calls.Go(func() { _ = r.reach(ctx, m.Address) })
		}
	}
}
