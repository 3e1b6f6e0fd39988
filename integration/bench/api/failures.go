package api

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/musterhq/muster/integration/bench/load"
	"github.com/musterhq/muster/integration/harness"
)

const (
	// kills is how many leaders are killed, writers how many write meanwhile. An
	// attempt that is not answered in attemptTime is made again, elsewhere.
	kills, writers = 5, 16
	attemptTime    = 500 * time.Millisecond
	// between is the time from the return of a server to the end of the next one.
	between = 3 * time.Second
)

// failover kills leaders and measures the longest time without a write by anybody.
func failover(ctx context.Context, b *bed) ([]Figure, error) {
	clients, err := b.clients(asProtobuf)
	if err != nil {
		return nil, err
	}
	namespace, err := b.namespace(ctx, clients[0])
	if err != nil {
		return nil, err
	}
	writing, cancel := context.WithCancel(ctx)
	defer cancel()
	g := &gap{last: time.Now()}
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() { g.write(writing, clients, namespace, w) })
	}
	err = b.killLeaders(ctx)
	cancel()
	all.Wait()
	return []Figure{{Unit: "s", Value: g.longest.Seconds(), Kubernetes: 1.4}}, err
}

func (b *bed) killLeaders(ctx context.Context) error {
	for range kills {
		if err := load.Pause(ctx, between); err != nil {
			return err
		}
		leader, err := b.leader(ctx)
		if err != nil {
			return err
		}
		if _, err := b.dev.Dev(ctx, "kill", leader); err != nil {
			return err
		}
		if err := load.Pause(ctx, between); err != nil {
			return err
		}
		if _, err := b.dev.Dev(ctx, "start", leader); err != nil {
			return err
		}
	}
	return nil
}

func (b *bed) leader(ctx context.Context) (string, error) {
	out, err := harness.Output(ctx, harness.Muster(), "members", "--kubeconfig", b.dev.Kubeconfig())
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "leader" {
			return f[0], nil
		}
	}
	return "", errors.New("no server leads:\n" + out)
}

// gap is the longest time without an acknowledged write.
type gap struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (g *gap) acknowledged() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.longest = max(g.longest, now.Sub(g.last))
	g.last = now
}

// write creates objects until ctx ends, by another server whenever one fails.
func (g *gap) write(ctx context.Context, clients []kubernetes.Interface, namespace string, writer int) {
	noise, at := rand.NewChaCha8([32]byte{byte(writer)}), writer
	for n := 0; ctx.Err() == nil; n++ {
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		_, err := clients[at%len(clients)].CoreV1().ConfigMaps(namespace).Create(attempt, configMap(fmt.Sprintf("f%d-%d", writer, n), noise), metav1.CreateOptions{})
		cancel()
		if err == nil {
			g.acknowledged()
		} else {
			at++
		}
	}
}

// nodeGone cuts the power of a node that runs a pod.
func nodeGone(ctx context.Context, b *bed) ([]Figure, error) {
	if err := b.dev.LoadImages(ctx); err != nil {
		return nil, err
	}
	clients, err := b.clients(asProtobuf)
	if err != nil {
		return nil, err
	}
	pods := clients[0].CoreV1().Pods(metav1.NamespaceDefault)
	if _, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "victim"},
		Spec:       corev1.PodSpec{NodeName: "node1", Containers: []corev1.Container{{Name: "c", Image: "jwilder/whoami", ImagePullPolicy: corev1.PullIfNotPresent}}},
	}, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	if err := harness.Eventually(ctx, time.Minute, func() error {
		p, err := pods.Get(ctx, "victim", metav1.GetOptions{})
		if err == nil && p.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("pod is %s", p.Status.Phase)
		}
		return err
	}); err != nil {
		return nil, err
	}
	begin := time.Now()
	if _, err := b.dev.Dev(ctx, "kill", "node1"); err != nil {
		return nil, err
	}
	var unknown, deleted time.Duration
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer func() { unknown = time.Since(begin) }()
		return harness.Eventually(ctx, 2*time.Minute, func() error { return b.isUnknown(ctx, clients[0], "node1") })
	})
	group.Go(func() error {
		defer func() { deleted = time.Since(begin) }()
		return harness.Eventually(ctx, 10*time.Minute, func() error {
			p, err := pods.Get(ctx, "victim", metav1.GetOptions{})
			if apierrors.IsNotFound(err) || err == nil && p.DeletionTimestamp != nil {
				return nil
			}
			return errors.New("the pod is there")
		})
	})
	err = group.Wait()
	return []Figure{
		{Suffix: "/unknown", Unit: "s", Value: unknown.Seconds(), Kubernetes: 52.5},
		{Suffix: "/pods-deleted", Unit: "s", Value: deleted.Seconds(), Kubernetes: 352},
	}, err
}

func (b *bed) isUnknown(ctx context.Context, client kubernetes.Interface, name string) error {
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown {
			return nil
		}
	}
	return fmt.Errorf("node %s is not Unknown", name)
}
