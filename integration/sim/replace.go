package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// AddServer starts a further server, which joins the cluster, and waits until it
// serves. Its number is one that no server had.
func (c *Cluster) AddServer(number int) *Server {
	c.t.Helper()
	s := &Server{Name: fmt.Sprintf("server%d", number), Host: fmt.Sprintf("10.1.0.%d", number), cluster: c, dir: dataDir(c.t)}
	c.Servers = append(c.Servers, s)
	s.Start()
	s.WaitReady()
	return s
}

// RemoveServer takes a server out of the cluster and switches it off for good.
func (c *Cluster) RemoveServer(s *Server) {
	c.t.Helper()
	c.Eventually(time.Minute, func(ctx context.Context) error {
		_, err := clusterv1.NewClusterServiceClient(c.Client.Conn()).RemoveServer(ctx, &clusterv1.RemoveServerRequest{Id: s.Name})
		if status.Code(err) == codes.NotFound {
			return nil // it was removed, and could not say so
		}
		return err
	})
	s.Kill()
	<-s.running.done
	c.Servers = slices.DeleteFunc(c.Servers, func(o *Server) bool { return o == s })
}
