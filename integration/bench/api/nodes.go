package api

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/integration/bench/fleet"
	"github.com/musterhq/muster/integration/harness"
)

// readyTime bounds the time until all nodes of a fleet are ready.
const readyTime = 5 * time.Minute

// withNodes measures on a cluster that has so many nodes, and starts them first.
func withNodes(nodes int, then func(ctx context.Context, b *bed, client kubernetes.Interface) ([]Figure, error)) measure {
	return func(ctx context.Context, b *bed) (figures []Figure, err error) {
		clients, err := b.clients(asProtobuf)
		if err != nil {
			return nil, err
		}
		token, err := harness.Output(ctx, harness.Muster(), "token", "create", "--kubeconfig", b.dev.Kubeconfig(), "--role", "node")
		if err != nil {
			return nil, err
		}
		gateway := b.servers[0].address.As4()
		gateway[3] = 1 // this machine, as the servers see it
		f, err := fleet.Start(ctx, clients[0], strings.TrimSpace(token), netip.AddrFrom4(gateway), nodes)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Stop() }()
		ready, cancel := context.WithTimeout(ctx, readyTime)
		defer cancel()
		if err := fleet.WaitReady(ready, clients[0], nodes); err != nil {
			return nil, err
		}
		return then(ctx, b, clients[0])
	}
}

// boundPods is how many pods are created to be bound.
const boundPods = 3000

// binds measures how soon pods are bound.
func binds(nodes int, perSecond float64) Case {
	return Case{Name: fmt.Sprintf("bind/nodes=%d", nodes), Members: 1, Alone: true, measure: withNodes(nodes,
		func(ctx context.Context, b *bed, client kubernetes.Interface) ([]Figure, error) {
			begin, used := time.Now(), b.used()
			err := b.bind(ctx, client, boundPods)
			return []Figure{
				{Unit: "pods/s", Value: boundPods / time.Since(begin).Seconds(), Kubernetes: perSecond},
				{Suffix: "/cpu", Unit: "us", Value: float64((b.used() - used).Microseconds()) / boundPods, Kubernetes: 10_800},
			}, err
		})}
}

// bind creates so many pods by 64 callers and waits until all are bound.
func (b *bed) bind(ctx context.Context, client kubernetes.Interface, pods int) error {
	return b.untilBound(ctx, client, pods, func(ctx context.Context, namespace string) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(64)
		for i := range pods {
			group.Go(func() error {
				p := pod(podName(i))
				p.Spec.SchedulerName = ""
				_, err := client.CoreV1().Pods(namespace).Create(ctx, p, metav1.CreateOptions{})
				return err
			})
		}
		return group.Wait()
	})
}

// rollout creates one Deployment and waits until all of its pods are bound.
func rollout(ctx context.Context, b *bed, client kubernetes.Interface) ([]Figure, error) {
	const replicas = 2000
	begin, used := time.Now(), b.used()
	err := b.untilBound(ctx, client, replicas, func(ctx context.Context, namespace string) error {
		labels := map[string]string{"app": "rollout"}
		spec := pod("").Spec
		spec.SchedulerName = ""
		_, err := client.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "rollout"},
			Spec: appsv1.DeploymentSpec{
				Replicas: ptr.To[int32](replicas), Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
			},
		}, metav1.CreateOptions{})
		return err
	})
	return []Figure{
		{Unit: "s", Value: time.Since(begin).Seconds(), Kubernetes: 8.8},
		{Suffix: "/cpu", Unit: "us/pod", Value: float64((b.used() - used).Microseconds()) / replicas},
	}, err
}

// untilBound has create make pods in a new namespace, and waits until so many of
// them have a node.
func (b *bed) untilBound(ctx context.Context, client kubernetes.Interface, pods int, create func(ctx context.Context, namespace string) error) error {
	namespace, err := b.namespace(ctx, client)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	watched, err := client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer watched.Stop()
	group.Go(func() error { return create(ctx, namespace) })
	group.Go(func() error {
		bound := map[string]bool{}
		for len(bound) < pods {
			select {
			case e, open := <-watched.ResultChan():
				p, ok := e.Object.(*corev1.Pod)
				if !open || !ok {
					return fmt.Errorf("wait for %d pods to be bound: the watch ended with %v", pods, e.Object)
				}
				if p.Spec.NodeName != "" {
					bound[p.Name] = true
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return group.Wait()
}

// large looks at a cluster with many nodes and pods that nobody calls.
func large(ctx context.Context, b *bed, client kubernetes.Interface) ([]Figure, error) {
	if err := b.bind(ctx, client, podCount); err != nil {
		return nil, err
	}
	return atRest(ctx, b, 2144, 7.1)
}
