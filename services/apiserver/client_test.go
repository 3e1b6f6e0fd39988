package apiserver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/internal/pki"
)

func newDeployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr(int32(3)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "jwilder/whoami"}}},
			},
		},
	}
}

// TestVerbs drives every verb by client-go, in both encodings.
func TestVerbs(t *testing.T) {
	server := startServer(t)
	for name, change := range map[string][]func(*rest.Config){"json": nil, "protobuf": {protobuf}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			api := server.client(t, pki.AdminIdentity(), change...).AppsV1().Deployments("default")
			created, err := api.Create(ctx, newDeployment("web-"+name), metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if created.UID == "" || created.ResourceVersion == "" || created.Generation != 1 || created.CreationTimestamp.IsZero() {
				t.Errorf("created: %s", describe(created.ObjectMeta))
			}
			if _, err := api.Create(ctx, newDeployment("web-"+name), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				t.Errorf("second create: %v", err)
			}
			stale := created.DeepCopy()
			created.Spec.Replicas = ptr(int32(5))
			updated, err := api.Update(ctx, created, metav1.UpdateOptions{})
			if err != nil || updated.Generation != 2 {
				t.Fatalf("update: generation %d, %v", updated.Generation, err)
			}
			again, err := api.Update(ctx, updated, metav1.UpdateOptions{})
			if err != nil || again.ResourceVersion != updated.ResourceVersion {
				t.Errorf("no-op update: version %s after %s, %v", again.ResourceVersion, updated.ResourceVersion, err)
			}
			if _, err := api.Update(ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "the object has been modified") {
				t.Errorf("stale update: %v", err)
			}
			patched, err := api.Patch(ctx, created.Name, types.StrategicMergePatchType,
				[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}`), metav1.PatchOptions{})
			if err != nil || len(patched.Spec.Template.Spec.Containers) != 2 {
				t.Errorf("strategic patch: %s, %v", describe(patched.Spec.Template.Spec), err)
			}
			scale, err := api.GetScale(ctx, created.Name, metav1.GetOptions{})
			if err != nil || scale.Spec.Replicas != 5 {
				t.Fatalf("scale: %s, %v", describe(scale), err)
			}
			scale.Spec.Replicas = 2
			if _, err := api.UpdateScale(ctx, created.Name, scale, metav1.UpdateOptions{}); err != nil {
				t.Errorf("update scale: %v", err)
			}
			got, err := api.Get(ctx, created.Name, metav1.GetOptions{})
			if err != nil || *got.Spec.Replicas != 2 {
				t.Errorf("get: %v replicas, %v", got.Spec.Replicas, err)
			}
			list, err := api.List(ctx, metav1.ListOptions{LabelSelector: "app=web-" + name})
			if err != nil || len(list.Items) != 1 || list.ResourceVersion == "" {
				t.Errorf("list: %d items at %q, %v", len(list.Items), list.ResourceVersion, err)
			}
			if err := api.Delete(ctx, created.Name, metav1.DeleteOptions{}); err != nil {
				t.Errorf("delete: %v", err)
			}
			if _, err := api.Get(ctx, created.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("get after delete: %v", err)
			}
		})
	}
}

func TestPodLife(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := server.client(t, pki.AdminIdentity(), protobuf)
	pods := client.CoreV1().Pods("default")
	seen, err := pods.Watch(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Stop()
	pod, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "web-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
	}, metav1.CreateOptions{})
	if err != nil || len(pod.Name) != len("web-")+5 {
		t.Fatalf("create: %q, %v", pod.Name, err)
	}
	bind := func(node string) error {
		return pods.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}, metav1.CreateOptions{})
	}
	if err := bind("n1"); err != nil {
		t.Fatalf("bind: %v", err)
	}
	if err := bind("n2"); !apierrors.IsConflict(err) {
		t.Errorf("second bind: %v", err)
	}
	if e := next(t, seen); e.Type != watch.Added || e.Object.(*corev1.Pod).Spec.NodeName != "n1" {
		t.Errorf("event: %s", describe(e))
	}
	if err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, seen); e.Type != watch.Modified || e.Object.(*corev1.Pod).DeletionTimestamp == nil {
		t.Errorf("event: %s", describe(e))
	}
	if err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr(int64(0))}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, seen); e.Type != watch.Deleted {
		t.Errorf("event: %s", describe(e))
	}
}

func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case e := <-w.ResultChan():
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
	}
	return watch.Event{}
}

func TestServiceAddresses(t *testing.T) {
	server := startServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	services := server.client(t, pki.AdminIdentity()).CoreV1().Services("default")
	api, err := services.Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil || api.Spec.ClusterIP != "10.96.0.1" {
		t.Fatalf("kubernetes: %q, %v", api.Spec.ClusterIP, err)
	}
	service := func(name string, port int32) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8000), NodePort: port}},
		}}
	}
	first, err := services.Create(ctx, service("a", 30000), metav1.CreateOptions{})
	if err != nil || !strings.HasPrefix(first.Spec.ClusterIP, "10.") || first.Spec.Ports[0].NodePort != 30000 {
		t.Fatalf("create: %s, %v", describe(first.Spec), err)
	}
	_, err = services.Create(ctx, service("b", 30000), metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "provided port is already allocated") {
		t.Errorf("taken port: %v", err)
	}
	if err := services.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := services.Create(ctx, service("b", 30000), metav1.CreateOptions{}); err != nil {
		t.Errorf("freed port: %v", err)
	}
	endpoints, err := server.client(t, pki.AdminIdentity()).CoreV1().Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	if err != nil || len(endpoints.Subsets) != 1 || endpoints.Subsets[0].Addresses[0].IP != "192.0.2.1" {
		t.Errorf("endpoints: %s, %v", describe(endpoints), err)
	}
}
