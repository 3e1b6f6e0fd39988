package replica_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// slowListener takes connections that bring little at a time.
type slowListener struct{ net.Listener }

func (l slowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return slowConn{c}, err
}

type slowConn struct{ net.Conn }

func (c slowConn) Read(b []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return c.Conn.Read(b[:min(len(b), 1<<10)])
}

// A member that comes again under its old name, with an empty disk, reads of its
// removal long before it reads of its return when much lies between and its link
// is slow. It is no removed member.
func TestSlowMemberThatComesAgainIsNotRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		gone := c.members[2]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.members[0].RemoveServer(ctx, gone.id); err != nil {
			t.Fatal(err)
		}
		_ = gone.halt()
		for i := range 1000 {
			c.members[0].write(t, put("x", fmt.Sprint(i)))
		}
		again := run(t, replica.Config{
			ID: gone.id, ClusterID: "c", InMemory: true,
			Listener: slowListener{c.network.listen(gone.id)}, Dial: c.network.dialer(gone.id),
		})
		c.members[2] = again
		joining, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		added := make(chan error, 1)
		go func() { added <- c.members[0].AddVoter(joining, again.id, again.id) }()
		select {
		case err := <-again.done:
			t.Errorf("it ended: %v", err)
			again.done <- nil
			stop()
			<-added
		case err := <-added:
			if err != nil {
				t.Error(err)
			}
		}
		c.stop()
	})
}
