//go:build root

package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/musterhq/muster/integration/harness"
)

// writers keep creating ConfigMaps and remember what was acknowledged, and when.
type writers struct {
	client    *kubernetes.Clientset
	namespace string
	mu        sync.Mutex
	names     []string
	times     []time.Time
}

func newWriters(t *testing.T, namespace string) *writers {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	config.Timeout = 2 * time.Second
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, "create", "namespace", namespace)
	t.Cleanup(func() {
		_ = client.CoreV1().Namespaces().Delete(context.Background(), namespace, metav1.DeleteOptions{})
	})
	return &writers{client: client, namespace: namespace}
}

// run writes with n workers until ctx ends.
func (w *writers) run(ctx context.Context, n int) {
	var group sync.WaitGroup
	for worker := range n {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.write(ctx, fmt.Sprintf("w%d-%d", worker, i))
			}
		})
	}
	group.Wait()
}

// write retries a name until it is known to be stored: a name that exists after
// an unknown outcome was stored by the try before.
func (w *writers) write(ctx context.Context, name string) {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"k": name}}
	for ctx.Err() == nil {
		_, err := w.client.CoreV1().ConfigMaps(w.namespace).Create(ctx, object, metav1.CreateOptions{})
		if err == nil || apierrors.IsAlreadyExists(err) {
			w.mu.Lock()
			w.names, w.times = append(w.names, name), append(w.times, time.Now())
			w.mu.Unlock()
			return
		}
	}
}

// acknowledged returns how many writes were, so far.
func (w *writers) acknowledged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.names)
}

// gap returns the longest time between two acknowledgements.
func (w *writers) gap() time.Duration {
	var longest time.Duration
	for i := 1; i < len(w.times); i++ {
		longest = max(longest, w.times[i].Sub(w.times[i-1]))
	}
	return longest
}

// lost returns the acknowledged names that are not there.
func (w *writers) lost(t *testing.T) []string {
	t.Helper()
	list, err := w.client.CoreV1().ConfigMaps(w.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, object := range list.Items {
		there[object.Name] = object.Data["k"] == object.Name
	}
	var lost []string
	for _, name := range w.names {
		if !there[name] {
			lost = append(lost, name)
		}
	}
	return lost
}

func TestLeaderKilledWhileWritesRun(t *testing.T) {
	w := newWriters(t, "leader")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { w.run(ctx, 8); close(done) }()
	waitWrites(t, w, 200)
	leader := leader(t)
	if _, err := cluster.Dev(t.Context(), "kill", leader); err != nil {
		t.Fatal(err)
	}
	waitWrites(t, w, w.acknowledged()+200)
	if _, err := cluster.Dev(t.Context(), "start", leader); err != nil {
		t.Fatal(err)
	}
	waitWrites(t, w, w.acknowledged()+200)
	cancel()
	<-done
	t.Logf("%d writes acknowledged, longest gap %v", len(w.names), w.gap())
	if lost := w.lost(t); len(lost) > 0 {
		t.Errorf("%d acknowledged writes lost: %v", len(lost), lost)
	}
	if gap := w.gap(); gap > 1500*time.Millisecond {
		t.Errorf("no write was acknowledged for %v", gap)
	}
}

func waitWrites(t *testing.T, w *writers, n int) {
	t.Helper()
	if err := eventually(t, func() error {
		if got := w.acknowledged(); got < n {
			return errorf("%d of %d writes acknowledged", got, n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// leader returns the name of the server that leads.
func leader(t *testing.T) string {
	t.Helper()
	out, err := harness.Run(t.Context(), "", harness.Muster(), "members", "--kubeconfig", cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "leader") {
			return strings.Fields(line)[0]
		}
	}
	t.Fatalf("nobody leads:\n%s", out)
	return ""
}

func TestAgentKilledItsPodsRunOnAndAreAdopted(t *testing.T) {
	applyExamples(t, "agent")
	before := identities(t, "agent")
	if _, err := cluster.Dev(t.Context(), "kill", "node1/agent"); err != nil {
		t.Fatal(err)
	}
	ip := kubectl(t, "-n", "agent", "get", "service", "whoami-clusterip", "-o", "jsonpath={.spec.clusterIP}")
	answers(t, "node1", ip+":8080", podsOf(t, "agent"))
	if _, err := cluster.Dev(t.Context(), "start", "node1/agent"); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "wait", "--for=condition=Ready", "node/node1", "--timeout=30s")
	// A write to a pod shows that the new agent has taken the pods over.
	kubectl(t, "-n", "agent", "scale", "deployment/whoami-deployment", "--replicas=5")
	kubectl(t, "-n", "agent", "rollout", "status", "deployment/whoami-deployment", "--timeout=60s")
	after := identities(t, "agent")
	for id := range before {
		if !after[id] {
			t.Errorf("container %s is not what it was; now %v", id, after)
		}
	}
}

// identities returns pod, container id, start time and restarts of the whoami pods.
func identities(t *testing.T, namespace string) map[string]bool {
	t.Helper()
	out := kubectl(t, "-n", namespace, "get", "pods", "-l", "app=whoami", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.podIP} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].state.running.startedAt} {.status.containerStatuses[0].restartCount}{"\n"}{end}`)
	ids := map[string]bool{}
	for line := range strings.Lines(out) {
		ids[line] = true
	}
	return ids
}
