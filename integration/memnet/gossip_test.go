package memnet_test

import (
	"io"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/musterhq/muster/integration/memnet"
)

func TestGossipNoticesACutHostAndForgivesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute) // memberlist's Shutdown does not wait for its probes
		n := memnet.New()
		hosts := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
		var lists []*memberlist.Memberlist
		for _, host := range hosts {
			transport, err := n.Gossip(host, 7946)
			if err != nil {
				t.Fatal(err)
			}
			c := memberlist.DefaultLANConfig()
			c.Name, c.Transport, c.Logger = host, transport, log.New(io.Discard, "", 0)
			c.AdvertisePort = 7946
			l, err := memberlist.Create(c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Shutdown() }()
			if _, err := l.Join([]string{"10.0.0.1:7946"}); err != nil {
				t.Fatal(err)
			}
			lists = append(lists, l)
		}
		members := func(want int) {
			t.Helper()
			for range 100 {
				if lists[0].NumMembers() == want {
					return
				}
				time.Sleep(time.Second)
			}
			t.Fatalf("%d members, want %d", lists[0].NumMembers(), want)
		}
		members(3)
		n.Cut(hosts[2])
		members(2)
		n.Heal(hosts[2])
		if _, err := lists[2].Join(hosts[:1]); err != nil {
			t.Fatal(err)
		}
		members(3)
	})
}
