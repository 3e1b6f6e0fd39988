package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/musterhq/muster/integration/harness"
)

// applyToRunning creates a pod with a cached image and returns how long it took
// until a watch saw it Running. The client is in this process, so that no
// start of a kubectl is measured.
func applyToRunning(ctx context.Context, c *harness.Cluster, name string) (time.Duration, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return 0, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return 0, err
	}
	pods := client.CoreV1().Pods("default")
	watch, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return 0, err
	}
	defer watch.Stop()
	start := time.Now()
	if _, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Image: "jwilder/whoami", ImagePullPolicy: corev1.PullIfNotPresent,
		}}},
	}, metav1.CreateOptions{}); err != nil {
		return 0, err
	}
	for {
		select {
		case e, open := <-watch.ResultChan():
			if !open {
				return 0, fmt.Errorf("pod %s: the watch ended", name)
			}
			if pod, ok := e.Object.(*corev1.Pod); ok && pod.Status.Phase == corev1.PodRunning {
				took := time.Since(start)
				now := int64(0)
				return took, pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &now})
			}
		case <-time.After(30 * time.Second):
			return 0, fmt.Errorf("pod %s is not Running after 30 s", name)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
