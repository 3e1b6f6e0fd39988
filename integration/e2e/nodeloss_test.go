//go:build root

package e2e_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNodeLostItsEndpointsLeaveAndRequestsSucceed(t *testing.T) {
	applyExamples(t, "node")
	ip := kubectl(t, "-n", "node", "get", "service", "whoami-clusterip", "-o", "jsonpath={.spec.clusterIP}")
	onNode2 := strings.Fields(kubectl(t, "-n", "node", "get", "pods", "-l", "app=whoami", "--field-selector=spec.nodeName=node2", "-o", "jsonpath={.items[*].status.podIP}"))
	if len(onNode2) == 0 {
		t.Fatal("no pod on node2")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	requests := askOn(ctx, 4, ip+":8080")
	requests.await(t, 20)
	defer func() {
		if _, err := cluster.Dev(contextOf(t), "start", "node2"); err != nil {
			t.Error(err)
		}
		kubectl(t, "wait", "--for=condition=Ready", "node/node2", "--timeout=60s")
	}()
	start := time.Now()
	if _, err := cluster.Dev(t.Context(), "kill", "node2"); err != nil {
		t.Fatal(err)
	}
	awaitEndpointsGone(t, "node", onNode2)
	took := time.Since(start)
	t.Logf("endpoints left after %v", took)
	if took > 3*time.Second {
		t.Errorf("the lost node's endpoints left after %v", took)
	}
	requests.await(t, requests.count()+50)
	cancel()
	requests.check(t, start)
}

// awaitEndpointsGone waits until none of the addresses is a ready endpoint of
// the whoami Service.
func awaitEndpointsGone(t *testing.T, namespace string, addresses []string) {
	t.Helper()
	if err := eventually(t, func() error {
		ready := kubectl(t, "-n", namespace, "get", "endpointslices", "-l", "kubernetes.io/service-name=whoami-clusterip", "-o",
			`jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}`)
		for _, address := range addresses {
			if strings.Contains(" "+ready+" ", " "+address+" ") {
				return errorf("%s is ready", address)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// requests are those of clients on node1 that ask an address all the time, each
// on a connection of its own.
type requests struct {
	mu   sync.Mutex
	done []request
	all  sync.WaitGroup
}

type request struct {
	begun, ended time.Time
	err          error
}

func askOn(ctx context.Context, clients int, address string) *requests {
	r := &requests{}
	for range clients {
		r.all.Go(func() {
			for ctx.Err() == nil {
				begun := time.Now()
				// Of its own context: a request under way is not to be cut by the test's end.
				out, err := cluster.Exec(context.WithoutCancel(ctx), "node1", "curl", "-sS", "--max-time", "10", address)
				if err == nil && !strings.HasPrefix(out, "I'm ") {
					err = errorf("answered %q", out)
				}
				r.mu.Lock()
				r.done = append(r.done, request{begun, time.Now(), err})
				r.mu.Unlock()
			}
		})
	}
	return r
}

func (r *requests) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.done)
}

func (r *requests) await(t *testing.T, n int) {
	t.Helper()
	if err := eventually(t, func() error {
		if got := r.count(); got < n {
			return errorf("%d of %d requests ended", got, n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// check wants that every request succeeded, but for those that the fault found
// under way: what a machine has taken with it, no proxy can answer.
func (r *requests) check(t *testing.T, fault time.Time) {
	t.Helper()
	r.all.Wait()
	var longest time.Duration
	after := 0
	for _, one := range r.done {
		if one.begun.Before(fault) {
			if one.err != nil && one.ended.Before(fault) {
				t.Errorf("before the fault: %v", one.err)
			}
			continue
		}
		after++
		longest = max(longest, one.ended.Sub(one.begun))
		if one.err != nil {
			t.Errorf("begun %v after the fault, ended %v later: %v", one.begun.Sub(fault), one.ended.Sub(one.begun), one.err)
		}
	}
	t.Logf("%d requests after the fault, the longest took %v", after, longest)
}
