package sdk

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

const (
	// learnInterval is how often a client asks who the servers are, beside when it has
	// come to another one: all that it knows may be replaced while it runs.
	learnInterval = 10 * time.Second
	learnTimeout  = 3 * time.Second
)

// learn keeps the client's servers those of today until ctx ends, or until a
// server says that this caller may not know.
func (c *Client) learn(ctx context.Context) {
	tick := time.NewTicker(learnInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.links.moved:
		}
		addresses, all, err := c.listServers(ctx)
		switch status.Code(err) {
		case codes.OK:
			if c.links.replace(addresses, all) {
				c.log.Info("the cluster has other servers now", "servers", addresses)
			}
		case codes.PermissionDenied, codes.Unimplemented:
			return
		}
	}
}

// listServers returns the addresses of the servers, and whether these are all: a
// server that has just started knows who the others are before it knows where.
func (c *Client) listServers(ctx context.Context) (addresses []string, all bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	response, err := clusterv1.NewClusterServiceClient(c.conn).ListMembers(ctx, &clusterv1.ListMembersRequest{}, grpc.WaitForReady(false))
	if err != nil {
		return nil, false, err
	}
	all = true
	for _, m := range response.GetMembers() {
		if a := m.GetApiAddress(); a != "" {
			addresses = append(addresses, a)
		} else {
			all = false
		}
	}
	return addresses, all, nil
}

// replace makes other servers the known ones and says whether they differ. Those
// that stay keep their order, new ones come after them. While the list is not of
// all servers, all that are known stay. A list that shares no server with the
// known ones is not taken: the servers are called by other addresses from here, as
// through a balancer.
func (l *links) replace(addresses []string, all bool) (changed bool) {
	l.mu.Lock()
	stay := slices.DeleteFunc(slices.Clone(l.order), func(a string) bool { return !slices.Contains(addresses, a) })
	added := slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return slices.Contains(stay, a) })
	if !all && len(stay) > 0 {
		stay = slices.Clone(l.order)
	}
	if len(stay) == 0 || len(added) == 0 && len(stay) == len(l.order) {
		l.mu.Unlock()
		return false
	}
	rand.Shuffle(len(added), func(i, j int) { added[i], added[j] = added[j], added[i] })
	l.order = append(stay, added...)
	order := slices.Clone(l.order)
	l.mu.Unlock()
	l.publish(order)
	return true
}
