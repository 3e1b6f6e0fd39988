package clientgo_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	classOfIngress = "balanced"
	doorFinalizer  = "example.com/door"
	doorAddress    = "192.0.2.80"
)

// doors is a controller of Ingresses as users of controller-runtime write them: it
// opens a door outside of the cluster for each, which its finalizer closes, and owns a
// ConfigMap, by server-side apply, and a Service.
type doors struct {
	client.Client
	events events.EventRecorder

	mu   sync.Mutex
	open map[string]bool
}

func (d *doors) setUp(mgr ctrl.Manager) error {
	byClass := func(obj client.Object) []string {
		return []string{ptr.Deref(obj.(*networkingv1.Ingress).Spec.IngressClassName, "")}
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &networkingv1.Ingress{}, "class", byClass); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).For(&networkingv1.Ingress{}).Owns(&corev1.ConfigMap{}).Owns(&corev1.Service{}).Complete(d)
}

func (d *doors) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	ingress := &networkingv1.Ingress{}
	if err := d.Get(ctx, request.NamespacedName, ingress); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if ingress.DeletionTimestamp != nil {
		return ctrl.Result{}, d.shut(ctx, ingress)
	}
	if controllerutil.AddFinalizer(ingress, doorFinalizer) {
		return ctrl.Result{}, d.Update(ctx, ingress)
	}
	d.note(ingress.Name, true)
	if err := d.furnish(ctx, ingress); err != nil {
		return ctrl.Result{}, err
	}
	if len(ingress.Status.LoadBalancer.Ingress) > 0 {
		return ctrl.Result{}, nil
	}
	d.events.Eventf(ingress, nil, corev1.EventTypeNormal, "Opened", "Open", "opened a door at %s", doorAddress)
	before := ingress.DeepCopy()
	ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: doorAddress}}
	return ctrl.Result{}, d.Status().Patch(ctx, ingress, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

func (d *doors) shut(ctx context.Context, ingress *networkingv1.Ingress) error {
	d.note(ingress.Name, false)
	if !controllerutil.RemoveFinalizer(ingress, doorFinalizer) {
		return nil
	}
	return d.Update(ctx, ingress)
}

// furnish sees to what an ingress owns.
func (d *doors) furnish(ctx context.Context, ingress *networkingv1.Ingress) error {
	owner := metaac.OwnerReference().WithAPIVersion("networking.k8s.io/v1").WithKind("Ingress").
		WithName(ingress.Name).WithUID(ingress.UID).WithController(true).WithBlockOwnerDeletion(true)
	rules := coreac.ConfigMap(ingress.Name, ingress.Namespace).WithOwnerReferences(owner).WithData(map[string]string{"door": doorAddress})
	if err := d.Apply(ctx, rules, client.FieldOwner("doors"), client.ForceOwnership); err != nil {
		return err
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ingress.Namespace, Name: ingress.Name}}
	_, err := controllerutil.CreateOrUpdate(ctx, d.Client, service, func() error {
		service.Spec.Selector = map[string]string{"door": ingress.Name}
		service.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}
		return controllerutil.SetControllerReference(ingress, service, d.Scheme())
	})
	return err
}

func (d *doors) note(name string, open bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[name] = open
}

func (d *doors) isOpen(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[name]
}

// manage runs the controller until the test ends.
func (c *cluster) manage() (ctrl.Manager, *doors) {
	c.t.Helper()
	config := c.config(clientHost)
	config.ContentType, config.AcceptContentTypes = "", "" // controller-runtime chooses for each type
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Logger: logr.Discard(), Metrics: server.Options{BindAddress: "0"},
		LeaderElection: true, LeaderElectionNamespace: "default", LeaderElectionID: "doors", LeaderElectionReleaseOnCancel: true,
		Controller: controllerconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	d := &doors{Client: mgr.GetClient(), events: mgr.GetEventRecorder("doors"), open: map[string]bool{}}
	if err := d.setUp(mgr); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("manager: %v", err)
		}
		mgr.GetHTTPClient().CloseIdleConnections()
	})
	<-mgr.Elected()
	return mgr, d
}

func newIngress(name string) *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: networkingv1.IngressSpec{
			IngressClassName: ptr.To(classOfIngress),
			DefaultBackend:   &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: name, Port: networkingv1.ServiceBackendPort{Number: 80}}},
		},
	}
}

// TestController runs a controller of controller-runtime: what it owns comes back when
// somebody removes or changes it, and goes with its owner.
func TestController(t *testing.T) {
	withControllers(t, func(t *testing.T, c *cluster) {
		mgr, doors := c.manage()
		api, ctx := mgr.GetClient(), t.Context()
		const number = 20
		for i := range number {
			if err := api.Create(ctx, newIngress(fmt.Sprint("i", i))); err != nil {
				t.Fatal(err)
			}
		}
		c.Eventually(time.Minute, func(ctx context.Context) error {
			list := &networkingv1.IngressList{}
			if err := api.List(ctx, list, client.MatchingFields{"class": classOfIngress}); err != nil {
				return err
			}
			for _, item := range list.Items {
				if len(list.Items) != number || len(item.Status.LoadBalancer.Ingress) != 1 || !doors.isOpen(item.Name) {
					return fmt.Errorf("%d ingresses, %s has %v", len(list.Items), item.Name, item.Status)
				}
			}
			return c.furnished(ctx, api, "i0")
		})
		c.disturb(api)
		for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationForeground, metav1.DeletePropagationBackground} {
			c.leave(api, doors, policy)
		}
	})
}

// furnished says what is missing of what an ingress owns.
func (c *cluster) furnished(ctx context.Context, api client.Reader, name string) error {
	key := client.ObjectKey{Namespace: "default", Name: name}
	ingress, rules, service := &networkingv1.Ingress{}, &corev1.ConfigMap{}, &corev1.Service{}
	if err := errors.Join(api.Get(ctx, key, ingress), api.Get(ctx, key, rules), api.Get(ctx, key, service)); err != nil {
		return err
	}
	if rules.Data["door"] != doorAddress || service.DeletionTimestamp != nil || !metav1.IsControlledBy(rules, ingress) || !metav1.IsControlledBy(service, ingress) {
		return fmt.Errorf("rules %v, service %v", rules.Data, service.Spec)
	}
	return nil
}

// disturb changes and deletes what the controller owns.
func (c *cluster) disturb(api client.Client) {
	c.t.Helper()
	ctx := c.t.Context()
	named := metav1.ObjectMeta{Namespace: "default", Name: "i0"}
	wrong := client.RawPatch("application/merge-patch+json", []byte(`{"data": {"door": "another"}}`))
	if err := api.Patch(ctx, &corev1.ConfigMap{ObjectMeta: named}, wrong); err != nil {
		c.t.Fatal(err)
	}
	if err := api.Delete(ctx, &corev1.Service{ObjectMeta: named}); err != nil {
		c.t.Fatal(err)
	}
	c.Eventually(time.Minute, func(ctx context.Context) error { return c.furnished(ctx, api, "i0") })
}

// leave deletes an ingress: its finalizer closes the door, and what it owned goes.
func (c *cluster) leave(api client.Client, doors *doors, policy metav1.DeletionPropagation) {
	c.t.Helper()
	name := map[metav1.DeletionPropagation]string{metav1.DeletePropagationForeground: "i1", metav1.DeletePropagationBackground: "i2"}[policy]
	if err := api.Delete(c.t.Context(), newIngress(name), client.PropagationPolicy(policy)); err != nil {
		c.t.Fatal(err)
	}
	key := client.ObjectKey{Namespace: "default", Name: name}
	c.Eventually(time.Minute, func(ctx context.Context) error {
		for _, obj := range []client.Object{&networkingv1.Ingress{}, &corev1.ConfigMap{}, &corev1.Service{}} {
			if err := api.Get(ctx, key, obj); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s of %T: %w", policy, obj, errors.Join(errors.New("not gone"), err))
			}
		}
		return nil
	})
	if doors.isOpen(name) {
		c.t.Errorf("%s is gone, and its door open", name)
	}
}
