package sim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/integration/sim"
	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// A server that is cut off from the others says so of the objects to those who watch
// its health, and when it serves again; who the servers are it goes on to tell.
func TestHealthFollowsTheMajority(t *testing.T) {
	simulate(t, 3, 0, func(t *testing.T, c *sim.Cluster) {
		lonely := c.Leader()
		local := lonely.Client(lonely.Host) // over the loopback, which no cut reaches
		defer local.Close()
		health := healthv1.NewHealthClient(local.Conn())
		follow := func() healthv1.Health_WatchClient {
			t.Helper()
			watch, err := health.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: apiv1.ObjectService_ServiceDesc.ServiceName})
			if err != nil {
				t.Fatal(err)
			}
			return watch
		}
		next := func(watch healthv1.Health_WatchClient, want healthv1.HealthCheckResponse_ServingStatus) {
			t.Helper()
			begun := time.Now()
			got, err := watch.Recv()
			if err != nil || got.GetStatus() != want || time.Since(begun) > 8*time.Second {
				t.Fatalf("after %v: %v, %v; want %v", time.Since(begun), got, err, want)
			}
		}
		before := follow()
		next(before, healthv1.HealthCheckResponse_SERVING)
		lonely.Cut()
		next(before, healthv1.HealthCheckResponse_NOT_SERVING)
		checkHealth(t, local, map[string]healthv1.HealthCheckResponse_ServingStatus{
			"": healthv1.HealthCheckResponse_NOT_SERVING,
			clusterv1.ClusterService_ServiceDesc.ServiceName: healthv1.HealthCheckResponse_SERVING,
		})
		lonely.Heal()
		// The client has left the connection to a server that did not serve.
		c.Eventually(10*time.Second, func(ctx context.Context) error {
			got, err := health.Check(ctx, &healthv1.HealthCheckRequest{})
			if err == nil && got.GetStatus() != healthv1.HealthCheckResponse_SERVING {
				err = errors.New(got.GetStatus().String())
			}
			return err
		})
		next(follow(), healthv1.HealthCheckResponse_SERVING)
		if _, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
			t.Errorf("a service that is not there: %v", err)
		}
	})
}

func checkHealth(t *testing.T, client *sdk.Client, want map[string]healthv1.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for service, want := range want {
		got, err := healthv1.NewHealthClient(client.Conn()).Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != want {
			t.Errorf("health of %q: %v, %v; want %v", service, got, err, want)
		}
	}
}
