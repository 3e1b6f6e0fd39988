package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/musterhq/muster/internal/pki"
)

// RemoveDeadAfter is how long a voter must have been silent in every simulated
// cluster before it can be replaced.
const RemoveDeadAfter = 20 * time.Second

// AddReader starts a further server that never votes, and waits until it serves.
func (c *Cluster) AddReader(number int) *Server {
	c.t.Helper()
	s := &Server{Name: fmt.Sprintf("server%d", number), Host: fmt.Sprintf("10.1.0.%d", number), nonVoter: true, cluster: c, dir: dataDir(c.t)}
	c.Servers = append(c.Servers, s)
	s.Start()
	s.WaitReady()
	return s
}

// Move has a server that does not run start at another address.
func (s *Server) Move(number int) { s.Host = fmt.Sprintf("10.1.0.%d", number) }

// Rejoin tells the others where the server is now.
func (s *Server) Rejoin() {
	others := slices.DeleteFunc(slices.Clone(s.cluster.Servers), func(o *Server) bool { return o == s })
	s.join(s.cluster.keyPair(pki.ServerIdentity(s.Name), s.Host), others)
}

// Forget takes a server out of the list of those that belong to the cluster,
// once it was killed for good.
func (c *Cluster) Forget(s *Server) {
	<-s.running.done
	for i, o := range c.Servers {
		if o == s {
			c.Servers = append(c.Servers[:i:i], c.Servers[i+1:]...)
			return
		}
	}
}
