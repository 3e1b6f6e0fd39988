package sim_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"

	"github.com/musterhq/muster/integration/sim"
)

// members asks how the members are.
func members(ctx context.Context, c *sim.Cluster) (map[string]*clusterv1.Member, error) {
	response, err := clusterv1.NewClusterServiceClient(c.Client.Conn()).ListMembers(ctx, &clusterv1.ListMembersRequest{WithState: true})
	out := map[string]*clusterv1.Member{}
	for _, m := range response.GetMembers() {
		out[m.GetId()] = m
	}
	return out, err
}

// A server that never votes serves clients of its own, through changes of leaders.
func TestReaderServesAndNeverVotes(t *testing.T) {
	simulate(t, 3, 0, func(t *testing.T, c *sim.Cluster) {
		reader := c.AddReader(4)
		w := c.WriteStrictly(2, 20*time.Millisecond, reader)
		for _, next := range c.Servers[:3] {
			time.Sleep(time.Second)
			client := clusterv1.NewClusterServiceClient(c.Client.Conn())
			if response, err := client.TransferLeadership(t.Context(), &clusterv1.TransferLeadershipRequest{Id: next.Name}); err != nil || response.GetId() != next.Name {
				t.Errorf("transfer to %s: %v, %v", next.Name, response, err)
			}
		}
		written, longest, errs := w.Stop()
		t.Logf("%d writes, the longest took %v", written, longest)
		if len(errs) > 0 || written < 100 {
			t.Errorf("%d writes, failed: %v", written, errs)
		}
		all, err := members(t.Context(), c)
		if m := all[reader.Name]; err != nil || m.GetVoter() || m.GetState() != clusterv1.MemberState_MEMBER_STATE_HEALTHY || m.GetVersion() == "" {
			t.Errorf("the reader is %v, %v", m, err)
		}
		c.SameState()
	})
}

// A dead server is removed when one that joined has taken its place, and not
// before that.
func TestDeadServerIsRemovedOnceReplaced(t *testing.T) {
	simulate(t, 3, 0, func(t *testing.T, c *sim.Cluster) {
		dead := c.Servers[2]
		dead.Kill()
		time.Sleep(3 * sim.RemoveDeadAfter)
		all, err := members(t.Context(), c)
		if m := all[dead.Name]; err != nil || m.GetState() != clusterv1.MemberState_MEMBER_STATE_UNREACHABLE || m.GetLastContact().AsDuration() < 2*sim.RemoveDeadAfter {
			t.Errorf("one that is dead and needed is %v, %v", m, err)
		}
		c.Forget(dead)
		c.AddServer(4)
		c.Eventually(30*time.Second, func(ctx context.Context) error {
			all, err := members(ctx, c)
			if err == nil && (all[dead.Name] != nil || len(all) != 3) {
				err = fmt.Errorf("members %v", all)
			}
			return err
		})
		c.SameState()
	})
}

// Each server is started at another address, the leader too.
func TestServersMove(t *testing.T) {
	simulate(t, 3, 0, func(t *testing.T, c *sim.Cluster) {
		w := c.Write(2, 20*time.Millisecond)
		for i, s := range slices.Clone(c.Servers) {
			s.Stop()
			time.Sleep(5 * time.Second)
			s.Move(11 + i)
			s.Start()
			s.Rejoin()
			s.WaitReady()
			w.Await(50)
		}
		w.Stop()
		w.CheckKept()
		all, err := members(t.Context(), c)
		for _, s := range c.Servers {
			if m := all[s.Name]; err != nil || m.GetRaftAddress() != s.Host+":6444" || m.GetApiAddress() != s.Host+":6442" {
				t.Errorf("%s is %v, %v", s.Name, m, err)
			}
		}
		c.SameState()
	})
}
