package sim

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/sdk"
)

// Deployment returns a deployment of whoami:1 whose pods are labelled app=NAME.
func Deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To(replicas), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "c", Image: "whoami:1", Ports: []corev1.ContainerPort{{ContainerPort: 8000}},
				}}},
			},
		},
	}
}

// Service returns a service of the pods labelled app=NAME.
func Service(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 8080}}},
	}
}

// Create creates objects.
func Create[T sdk.Object](c *Cluster, objects ...T) {
	c.t.Helper()
	for _, o := range objects {
		if _, err := sdk.Create(c.t.Context(), c.Client, o); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Change changes a deployment, again when somebody else changed it meanwhile.
func (c *Cluster) Change(name string, change func(*appsv1.Deployment)) {
	c.t.Helper()
	c.Eventually(readyTime, func(ctx context.Context) error {
		d, err := sdk.Get[*appsv1.Deployment](ctx, c.Client, "default", name)
		if err != nil {
			return err
		}
		change(d)
		_, err = sdk.Update(ctx, c.Client, d)
		return err
	})
}

// SetImage is a Change of the image.
func SetImage(image string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image }
}

// Scale is a Change of the size.
func Scale(to int32) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Replicas = &to }
}

// Pods returns the pods labelled app=NAME.
func (c *Cluster) Pods(ctx context.Context, app string) ([]*corev1.Pod, error) {
	page, err := sdk.List[*corev1.Pod](ctx, c.Client, sdk.ListOptions{Namespace: "default", LabelSelector: "app=" + app})
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// ReadyEndpoints returns the addresses, and the nodes they are on, that get a
// service's traffic.
func (c *Cluster) ReadyEndpoints(ctx context.Context, service string) (map[string]string, error) {
	page, err := sdk.List[*discoveryv1.EndpointSlice](ctx, c.Client, sdk.ListOptions{
		Namespace: "default", LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return nil, err
	}
	ready := map[string]string{}
	for _, slice := range page.Items {
		maps.Copy(ready, ReadyIn(slice))
	}
	return ready, nil
}

// ReadyIn is ReadyEndpoints of one slice.
func ReadyIn(slice *discoveryv1.EndpointSlice) map[string]string {
	ready := map[string]string{}
	for _, e := range slice.Endpoints {
		if ptr.Deref(e.Conditions.Ready, true) {
			ready[e.Addresses[0]] = ptr.Deref(e.NodeName, "")
		}
	}
	return ready
}

// EndpointsMatch waits until a service's endpoints are the pods' addresses, in
// the slices and in the Endpoints object.
func (c *Cluster) EndpointsMatch(name string) {
	c.t.Helper()
	c.Eventually(readyTime, func(ctx context.Context) error {
		pods, err := c.Pods(ctx, name)
		if err != nil {
			return err
		}
		ready, err := c.ReadyEndpoints(ctx, name)
		if err != nil {
			return err
		}
		old, err := sdk.Get[*corev1.Endpoints](ctx, c.Client, "default", name)
		if err != nil {
			return err
		}
		listed := 0
		for _, subset := range old.Subsets {
			listed += len(subset.Addresses)
		}
		if len(ready) != len(pods) || listed != len(pods) {
			return fmt.Errorf("%d pods, %d ready endpoints, %d in Endpoints", len(pods), len(ready), listed)
		}
		for _, p := range pods {
			if ready[p.Status.PodIP] != p.Spec.NodeName {
				return fmt.Errorf("pod %s at %s is not among %v", p.Name, p.Status.PodIP, ready)
			}
		}
		return nil
	})
}

// drain deletes deployments, pods and services and waits until neither the
// cluster nor a node has anything left of them.
func (c *Cluster) drain() {
	c.Eventually(10*time.Minute, func(ctx context.Context) error {
		if err := errorsOf(remove[*appsv1.Deployment](ctx, c), remove[*corev1.Service](ctx, c)); err != nil {
			return err
		}
		var left []string
		for _, count := range []func(context.Context) ([]string, error){
			names[*appsv1.ReplicaSet](c), names[*corev1.Pod](c), names[*discoveryv1.EndpointSlice](c), names[*corev1.Endpoints](c), c.onNodes,
		} {
			found, err := count(ctx)
			if err != nil {
				return err
			}
			left = append(left, found...)
		}
		if len(left) > 0 {
			return fmt.Errorf("%d left over: %s", len(left), strings.Join(left[:min(len(left), 10)], ", "))
		}
		return nil
	})
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// kept says whether an object is every cluster's own.
func kept(o metav1.Object) bool {
	return o.GetNamespace() == "default" && strings.HasPrefix(o.GetName(), "kubernetes")
}

func remove[T sdk.Object](ctx context.Context, c *Cluster) error {
	page, err := sdk.List[T](ctx, c.Client, sdk.ListOptions{})
	if err != nil {
		return err
	}
	for _, o := range page.Items {
		if kept(o) {
			continue
		}
		if err := sdk.Delete[T](ctx, c.Client, o.GetNamespace(), o.GetName(), sdk.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

func names[T sdk.Object](c *Cluster) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		page, err := sdk.List[T](ctx, c.Client, sdk.ListOptions{})
		if err != nil {
			return nil, err
		}
		var out []string
		for _, o := range page.Items {
			if !kept(o) {
				out = append(out, fmt.Sprintf("%T %s", o, o.GetName()))
			}
		}
		return out, nil
	}
}

// onNodes names what the nodes hold of pods.
func (c *Cluster) onNodes(ctx context.Context) ([]string, error) {
	var out []string
	for _, n := range c.Nodes {
		pods, err := n.Runtime.Pods(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			out = append(out, "sandbox "+p.Sandbox.Name+" on "+n.Name)
		}
		if k := n.Pods.Addresses(); k > 0 {
			out = append(out, fmt.Sprintf("%d addresses on %s", k, n.Name))
		}
	}
	return out, nil
}
