package sdk_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// listing is servers that tell who the servers are.
type listing struct {
	clusterv1.UnimplementedClusterServiceServer

	mu        sync.Mutex
	members   []string
	err       error
	asked     int
	listeners map[string]*bufconn.Listener
}

func (l *listing) ListMembers(context.Context, *clusterv1.ListMembersRequest) (*clusterv1.ListMembersResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	out := &clusterv1.ListMembersResponse{}
	for _, address := range l.members {
		out.Members = append(out.Members, &clusterv1.Member{ApiAddress: address})
	}
	return out, l.err
}

func (l *listing) set(err error, members ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.members = err, members
}

func (l *listing) calls() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// start runs a server until the returned function is called.
func (l *listing) start(address string) (stop func()) {
	lis, srv := bufconn.Listen(1<<16), grpc.NewServer()
	clusterv1.RegisterClusterServiceServer(srv, l)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listeners[address] = lis
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(lis)
	}()
	return func() { srv.Stop(); <-done }
}

func (l *listing) dial(ctx context.Context, address string) (net.Conn, error) {
	l.mu.Lock()
	lis := l.listeners[address]
	l.mu.Unlock()
	if lis == nil {
		return nil, status.Error(codes.Unavailable, "there is no "+address)
	}
	return lis.DialContext(ctx)
}

func (l *listing) client(t *testing.T, servers ...string) *sdk.Client {
	t.Helper()
	c, err := sdk.Dial(sdk.Config{Servers: servers, Dialer: l.dial, ProbeInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServersAreLearned(t *testing.T) {
	for name, test := range map[string]struct {
		known, told []string
		err         error
		left        string // where the client is when s1 is gone
	}{
		"new ones":           {[]string{"s1"}, []string{"s1", "", "s2"}, nil, "s2"},
		"other addresses":    {[]string{"s1"}, []string{"10.0.0.1", "s2"}, nil, ""},
		"no answer":          {[]string{"s1"}, nil, nil, ""},
		"may not know":       {[]string{"s1"}, nil, status.Error(codes.PermissionDenied, "no"), ""},
		"one that was there": {[]string{"s1", "s2"}, []string{"s1", "s3"}, nil, "s3"},
		"not where all are":  {[]string{"s1", "s2"}, []string{"s1", ""}, nil, "s2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &listing{listeners: map[string]*bufconn.Listener{}}
				stop := l.start("s1")
				c := l.client(t, test.known...)
				defer c.Close()
				listMembers(t, c)
				l.set(test.err, test.told...)
				for _, address := range []string{"s2", "s3"} {
					defer l.start(address)()
				}
				time.Sleep(31 * time.Second)
				want := 4 // one of them by the test
				if test.err != nil {
					want = 2
				}
				if got := l.calls(); got != want {
					t.Errorf("asked %d times, want %d", got, want)
				}
				stop()
				synctest.Wait() // else the call may find the connection there, and end with it
				listMembers(t, c)
				if got := c.Server(); got != test.left {
					t.Errorf("uses %q, want %q", got, test.left)
				}
			})
		})
	}
}

// listMembers makes a call, whatever becomes of it.
func listMembers(t *testing.T, c *sdk.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, _ = clusterv1.NewClusterServiceClient(c.Conn()).ListMembers(ctx, &clusterv1.ListMembersRequest{})
}

// All servers that a client knew may go within seconds, one after the other.
func TestServersAreLearnedOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &listing{listeners: map[string]*bufconn.Listener{}}
		stops := map[string]func(){"s1": l.start("s1"), "s2": l.start("s2")}
		c := l.client(t, "s1", "s2")
		defer c.Close()
		listMembers(t, c)
		first := c.Server()
		second := map[string]string{"s1": "s2", "s2": "s1"}[first]
		defer l.start("s3")()
		l.set(nil, second, "s3")
		for _, gone := range []string{first, second} {
			stops[gone]()
			listMembers(t, c) // may still find the connection there, and end with it
			listMembers(t, c)
			time.Sleep(time.Second)
		}
		if got := c.Server(); got != "s3" {
			t.Errorf("uses %q, want s3", got)
		}
	})
}
