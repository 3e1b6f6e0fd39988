package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

const (
	// askTimeout bounds another server's answer, askPause what lies between rounds.
	askTimeout = 5 * time.Second
	askPause   = 100 * time.Millisecond
	// readyTimeout is how long a server may have no leader before it asks the
	// others whether it is still one of them, stayInterval how often it looks.
	readyTimeout = 3 * time.Second
	stayInterval = 2 * time.Second
	// waitPatience is how often one who waits says so.
	waitPatience = 5 * time.Second
)

var errRemoved = errors.New("this server was removed from the cluster")

// apiAddresses are the servers' gRPC addresses, this one's first.
func (s *controlPlane) apiAddresses() []string {
	return append([]string{provision.Address(s.config.AdvertiseAddress, provision.GRPCPort)}, s.others(*s.servers.Load())...)
}

func (s *controlPlane) others(addresses []string) []string {
	var out []string
	for _, address := range addresses {
		if host, _, err := net.SplitHostPort(address); err == nil && host != s.config.AdvertiseAddress {
			out = append(out, address)
		}
	}
	return out
}

// peers are the other servers' gRPC addresses, by the list of servers and by the
// log: a server that was stopped early on has its first list still.
func (s *controlPlane) peers() []string {
	known := s.others(*s.servers.Load())
	for _, address := range s.apiserver.RaftAddresses() {
		if host, _, err := net.SplitHostPort(address); err == nil {
			known = append(known, s.others([]string{provision.Address(host, provision.GRPCPort)})...)
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}

func (s *controlPlane) raftAddress() string {
	return provision.Address(s.config.AdvertiseAddress, provision.RaftPort)
}

// checkLog refuses to start with an empty log a server that has had one: it may
// have voted, and acknowledged what nobody else has.
func (s *controlPlane) checkLog() error {
	if !s.membership.Started {
		return nil
	}
	dir := filepath.Join(s.config.DataDir, "raft")
	for _, name := range []string{"member.json", "log"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			return nil // what else is wrong or missing, the replica finds
		}
	}
	return fmt.Errorf("the log of this server is gone: %s holds none, but the server had one, and may have voted and acknowledged writes by it. "+
		"Where other servers of the cluster run, remove this one there (`muster members remove %s`), move %s away and join with a new token (`muster token create --role server`); "+
		"else restore %s from a backup, or move %s away and form a new cluster",
		dir, s.membership.Name, s.config.DataDir, dir, s.config.DataDir)
}

// began notes that the log is there, before anybody can count on it.
func (s *controlPlane) began() error {
	if s.membership.Started {
		return nil
	}
	failpoint.Hit("server/started")
	s.membership.Started = true
	return s.membership.Save(s.config.DataDir)
}

// entered notes that the server is a member: it must form no second cluster, and
// when it is no member any more, it was removed.
func (s *controlPlane) entered() error {
	if s.membership.Entered && !s.membership.Bootstrap {
		return nil
	}
	failpoint.Hit("server/entered")
	s.membership.Entered, s.membership.Bootstrap = true, false
	return s.membership.Save(s.config.DataDir)
}

// enter waits until this server serves. Unless it forms the cluster, it has the
// others let it in, or asks them whether it is still one of them.
func (s *controlPlane) enter(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	ready, done := context.WithCancel(ctx)
	group.Go(func() error {
		defer done()
		return s.apiserver.WaitReady(ctx)
	})
	group.Go(func() error {
		s.sayWaiting(ready)
		return nil
	})
	group.Go(func() error {
		for !s.membership.Bootstrap {
			if added, err := s.consult(ready); added || err != nil {
				return err
			}
			if !pause(ready, askPause) {
				break
			}
		}
		return nil
	})
	return group.Wait()
}

// stay asks the others, whenever this server has had no leader for a while,
// whether it is still one of them: who is removed is not always told.
func (s *controlPlane) stay(ctx context.Context) error {
	for pause(ctx, stayInterval) {
		try, cancel := context.WithTimeout(ctx, readyTimeout)
		err := s.apiserver.WaitReady(try)
		cancel()
		if err == nil {
			continue
		}
		if _, err := s.consult(ctx); err != nil {
			return err
		}
	}
	return nil
}

// consult asks each of the other servers once. One that was never a member is
// added; the error says that this one was a member and is none any more.
func (s *controlPlane) consult(ctx context.Context) (added bool, err error) {
	for _, address := range s.peers() {
		err := s.through(ctx, address, func(ctx context.Context, client clusterv1.ClusterServiceClient) error {
			if s.membership.Entered {
				return s.confirm(ctx, address, client)
			}
			err := s.add(ctx, client)
			added = err == nil
			return err
		})
		if added || errors.Is(err, errRemoved) {
			return added, err
		}
		if err != nil && ctx.Err() == nil {
			why := address + ": " + status.Convert(err).Message()
			s.hindrance.Store(&why)
		}
	}
	return false, nil
}

// through calls one server.
func (s *controlPlane) through(ctx context.Context, address string, call func(context.Context, clusterv1.ClusterServiceClient) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := join.Connect(address, s.own.PeerTLS(pki.IsServer, "h2"), nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(ctx, clusterv1.NewClusterServiceClient(conn))
}

func (s *controlPlane) add(ctx context.Context, client clusterv1.ClusterServiceClient) error {
	_, err := client.AddServer(ctx, &clusterv1.AddServerRequest{Id: s.membership.Name, RaftAddress: s.raftAddress(), NonVoter: s.membership.NonVoter})
	return err
}

// confirm asks a server whether this one is still a member, and tells it where if
// it has moved.
func (s *controlPlane) confirm(ctx context.Context, address string, client clusterv1.ClusterServiceClient) error {
	response, err := client.ListMembers(ctx, &clusterv1.ListMembersRequest{})
	if err != nil {
		return err
	}
	if response.GetEpoch() != s.apiserver.Epoch() {
		return nil // the replica finds out which of the two is past
	}
	switch standing(response.GetMembers(), address, s.membership.Name, s.raftAddress()) {
	case removed:
		return fmt.Errorf("%w, as %s says: to join again, move %s away and start with a new token (`muster token create --role server`)",
			errRemoved, address, s.config.DataDir)
	case moved:
		return s.add(ctx, client)
	}
	return nil
}

// What a server is by the list of members that another one gave.
const (
	unsettled = iota // the answer does not count
	member
	moved
	removed
)

// standing judges a list that the server at an API address gave. Only the word of
// one that leads counts: others may lag behind, and not know of this one yet.
func standing(members []*clusterv1.Member, from, name, raftAddress string) int {
	if !slices.ContainsFunc(members, func(m *clusterv1.Member) bool { return m.GetLeader() && m.GetApiAddress() == from }) {
		return unsettled
	}
	i := slices.IndexFunc(members, func(m *clusterv1.Member) bool { return m.GetId() == name })
	switch {
	case i < 0:
		return removed
	case members[i].GetRaftAddress() != raftAddress:
		return moved
	}
	return member
}

// sayWaiting tells whoever looks at the log why nothing happens, until ctx ends.
func (s *controlPlane) sayWaiting(ctx context.Context) {
	for pause(ctx, waitPatience) {
		args := []any{"others", s.peers()}
		if why := s.hindrance.Load(); why != nil {
			args = append(args, "last error", *why)
		}
		s.logger.Warn("not ready yet: waiting until a majority of the servers answers", args...)
	}
}

// keepServers keeps the list of the servers that of today, so that this one finds
// them after a restart though all those it joined are gone.
func (s *controlPlane) keepServers(ctx context.Context) error {
	conn, err := join.Connect(s.apiAddresses()[0], s.own.PeerTLS(pki.IsServer, "h2"), nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	return join.KeepServers(ctx, s.config.Logger, s.config.DataDir, s.membership, clusterv1.NewClusterServiceClient(conn),
		func(m join.Membership) { s.servers.Store(&m.APIAddresses) })
}

// pause returns false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
