package apiserver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/internal/pki"
)

// A greedy client asks for all it can, a thousand lists at a time. Ten modest ones
// are served meanwhile, and who is refused is told when to come again.
func TestGreedyClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	server := startServer(t)
	connect := func(name string) *http.Client {
		config := server.restConfig(t, pki.Identity{User: name, Groups: []string{pki.GroupAdmins}})
		client, err := rest.HTTPClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.CloseIdleConnections)
		return client
	}
	base := "https://" + server.rest
	admin := connect("admin")
	for i := range 300 {
		body := fmt.Sprintf(`{"metadata":{"name":"cm-%d"},"data":{"x":%q}}`, i, strings.Repeat("x", 1000))
		response, err := admin.Post(base+"/api/v1/namespaces/default/configmaps", "application/json", strings.NewReader(body))
		if err != nil || response.StatusCode != http.StatusCreated {
			t.Fatal(response, err)
		}
		_ = response.Body.Close()
	}
	warm := func(client *http.Client) *http.Client { // so that all requests share a connection
		response, err := client.Get(base + "/version")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return client
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all, modest sync.WaitGroup
	var refused, served atomic.Int64
	for range 4 {
		greedy := warm(connect("greedy"))
		for range 250 {
			all.Go(func() {
				for ctx.Err() == nil {
					request, _ := http.NewRequestWithContext(ctx, "GET", base+"/api/v1/configmaps", nil)
					response, err := greedy.Do(request)
					if err != nil {
						continue
					}
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
					served.Add(1)
					if response.StatusCode == http.StatusTooManyRequests {
						refused.Add(1)
						if response.Header.Get("Retry-After") != "1" {
							t.Errorf("refused without an hour: %v", response.Header)
						}
					}
				}
			})
		}
	}
	took := make([][]time.Duration, 10)
	begun := time.Now()
	for i := range took {
		client := warm(connect(fmt.Sprint("modest-", i)))
		modest.Go(func() {
			for range 10 {
				begun := time.Now()
				response, err := client.Get(base + "/api/v1/namespaces/default/configmaps/cm-1")
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("a modest client: %s", response.Status)
				}
				took[i] = append(took[i], time.Since(begun))
			}
		})
	}
	modest.Wait()
	elapsed := time.Since(begun)
	cancel()
	all.Wait()
	times := slices.Concat(took...)
	slices.Sort(times)
	// A thousand requests at a time that are served at some rate take so long each.
	each := elapsed * 1000 / time.Duration(max(served.Load(), 1))
	t.Logf("modest gets: p50 %v, max %v; greedy lists: %d, %d of them refused, %v each", times[len(times)/2], times[len(times)-1], served.Load(), refused.Load(), each)
	if times[len(times)/2] > each/4 {
		t.Errorf("half of the modest requests took longer than %v", times[len(times)/2])
	}
}
