package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// podCount is how many pods are listed, got from and deleted.
const podCount = 10_000

// namespace makes one of a new name, and returns that.
func (b *bed) namespace(ctx context.Context, client kubernetes.Interface) (string, error) {
	b.runs++
	name := fmt.Sprintf("bench-%d", b.runs)
	_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	return name, err
}

// configMap has 1 KiB of data that does not compress.
func configMap(name string, noise *rand.ChaCha8) *corev1.ConfigMap {
	data := make([]byte, 768)
	_, _ = noise.Read(data) // never fails
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, BinaryData: map[string][]byte{"noise": data}}
}

// creates creates ConfigMaps of 1 KiB.
func creates(contentType string, callers int, k peer) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		clients, err := b.clients(contentType)
		if err != nil {
			return nil, err
		}
		namespace, err := b.namespace(ctx, clients[0])
		if err != nil {
			return nil, err
		}
		noises := make([]*rand.ChaCha8, callers)
		for i := range noises {
			noises[i] = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)})
		}
		o, err := b.generate(ctx, callers, func(ctx context.Context, caller, n int) error {
			object := configMap(fmt.Sprintf("c%d-%d", caller, n), noises[caller])
			_, err := clients[caller%len(clients)].CoreV1().ConfigMaps(namespace).Create(ctx, object, metav1.CreateOptions{})
			return err
		})
		return o.figures(k), err
	}
}

// gets reads pods, each caller all of them in an order of its own.
func gets(contentType string, callers int, k peer) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		clients, err := b.clients(contentType)
		if err != nil {
			return nil, err
		}
		if err := b.fill(ctx); err != nil {
			return nil, err
		}
		const stride = 7919 // a prime, so that neighbours do not follow each other
		o, err := b.generate(ctx, callers, func(ctx context.Context, caller, n int) error {
			_, err := clients[caller%len(clients)].CoreV1().Pods(filled).Get(ctx, podName((caller*131+n*stride)%podCount), metav1.GetOptions{})
			return err
		})
		return o.figures(k), err
	}
}

// filled is the namespace of the pods.
const filled = "filled"

func podName(i int) string { return fmt.Sprintf("pod-%05d", i) }

// fill creates the pods, unless they are there.
func (b *bed) fill(ctx context.Context) error {
	clients, err := b.clients(asProtobuf)
	if err != nil {
		return err
	}
	_, err = clients[0].CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: filled}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if _, err := clients[0].CoreV1().Pods(filled).Get(ctx, podName(0), metav1.GetOptions{}); err == nil {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := range podCount {
		group.Go(func() error {
			_, err := clients[i%len(clients)].CoreV1().Pods(filled).Create(ctx, pod(podName(i)), metav1.CreateOptions{})
			return err
		})
	}
	return group.Wait()
}

// pod is one as a Deployment's are, of about 1.4 KiB, that no scheduler takes.
func pod(name string) *corev1.Pod {
	labels := map[string]string{"app": "bench", "app.kubernetes.io/name": "bench", "pod-template-hash": "5b6c7d8e9f"}
	env := []corev1.EnvVar{{Name: "LISTEN", Value: ":8080"}, {Name: "GREETING", Value: strings.Repeat("hello ", 40)}}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: map[string]string{"example.com/owner": "bench"}},
		Spec: corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{
			{Name: "web", Image: "registry.example.com/team/web:v1.2.3", Env: env, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}},
			{Name: "sidecar", Image: "registry.example.com/team/sidecar:v4.5.6", Args: []string{"--upstream", "http://127.0.0.1:8080"}},
		}},
	}
}
