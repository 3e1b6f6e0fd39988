package apiserver_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/internal/pki"
)

func sleeper(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}}}
}

func newNamespace(ctx context.Context, t *testing.T, client kubernetes.Interface, name string, labels map[string]string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// heard collects warnings.
type heard struct {
	mu   sync.Mutex
	text []string
}

func (h *heard) HandleWarningHeader(_ int, _, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, text)
}

// TestAdmission sees through client-go what admission does to pods.
func TestAdmission(t *testing.T) {
	server := startServer(t)
	warnings := &heard{}
	client := server.client(t, pki.AdminIdentity(), protobuf, func(c *rest.Config) { c.WarningHandler = warnings })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	// A pod right behind its namespace.
	newNamespace(ctx, t, client, "fresh", nil)
	pod, err := client.CoreV1().Pods("fresh").Create(ctx, sleeper("first"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pod.Spec.ServiceAccountName != "default" || pod.Spec.Priority == nil || *pod.Spec.Priority != 0 {
		t.Errorf("created: %s", describe(pod.Spec))
	}
	if _, err := client.CoreV1().Pods("gone").Create(ctx, sleeper("p"), metav1.CreateOptions{}); !apierrors.IsNotFound(err) ||
		err.Error() != `namespaces "gone" not found` {
		t.Errorf("no namespace: %v", err)
	}

	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "l"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type: corev1.LimitTypeContainer, Default: corev1.ResourceList{"cpu": resource.MustParse("1")}, DefaultRequest: corev1.ResourceList{"cpu": resource.MustParse("500m")}}}}}
	if _, err := client.CoreV1().LimitRanges("fresh").Create(ctx, limits, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod, err = client.CoreV1().Pods("fresh").Create(ctx, sleeper("limited"), metav1.CreateOptions{})
	if err != nil || pod.Spec.Containers[0].Resources.Requests.Cpu().String() != "500m" || pod.Status.QOSClass != corev1.PodQOSBurstable {
		t.Errorf("limited: %s, %v", describe(pod), err)
	}

	newNamespace(ctx, t, client, "safe", map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	_, err = client.CoreV1().Pods("safe").Create(ctx, sleeper("p"), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.HasPrefix(err.Error(), `pods "p" is forbidden: violates PodSecurity "restricted:latest": `) {
		t.Errorf("restricted: %v", err)
	}
	ns, err := client.CoreV1().Namespaces().Get(ctx, "fresh", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ns.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
	if _, err := client.CoreV1().Namespaces().Update(ctx, ns, metav1.UpdateOptions{}); err != nil {
		t.Error(err)
	}
	if len(warnings.text) != 2 || warnings.text[0] != `existing pods in namespace "fresh" violate the new PodSecurity enforce level "restricted:latest"` ||
		!strings.HasPrefix(warnings.text[1], "first (and 1 other pod): ") {
		t.Errorf("warned: %q", warnings.text)
	}
}

// TestQuota lets 64 callers race for 100 pods.
func TestQuota(t *testing.T) {
	const callers, each, allowed = 64, 4, 100
	server := startServer(t)
	client := server.client(t, pki.AdminIdentity(), protobuf, func(c *rest.Config) { c.QPS = -1 })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{"pods": *resource.NewQuantity(allowed, resource.DecimalSI)}}}
	if _, err := client.CoreV1().ResourceQuotas("default").Create(ctx, quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for n := range each {
				name := fmt.Sprintf("p-%d-%d", i, n)
				_, err := client.CoreV1().Pods("default").Create(ctx, sleeper(name), metav1.CreateOptions{})
				if want := fmt.Sprintf("pods %q is forbidden: exceeded quota: q, requested: pods=1, used: pods=100, limited: pods=100", name); err != nil && err.Error() != want {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	used := func() string {
		q, err := client.CoreV1().ResourceQuotas("default").Get(ctx, "q", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return q.Status.Used.Name("pods", resource.DecimalSI).String()
	}
	pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	if err != nil || len(pods.Items) != allowed || used() != "100" {
		t.Errorf("%d pods, %s used, %v", len(pods.Items), used(), err)
	}
	if err := client.CoreV1().Pods("default").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil || used() != "0" {
		t.Errorf("deleted: %s used, %v", used(), err)
	}
}
