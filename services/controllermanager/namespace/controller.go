package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/controllermanager/internal/kinds"
)

const (
	// page is how many objects are deleted in one transaction.
	page = 500
	// recheck is how long contents that end gracefully are waited for.
	recheck = 500 * time.Millisecond

	podType = "k8s.io.api.core.v1.Pod"

	defaultAccount = "default"
	rootCAMap      = "kube-root-ca.crt"
	rootCAKey      = "ca.crt"
)

// Controller empties and furnishes namespaces.
type Controller struct {
	client     *sdk.Client
	rootCA     string
	namespaces *informer.Informer[*corev1.Namespace]
	accounts   *informer.Informer[*corev1.ServiceAccount]
	maps       *informer.Informer[*corev1.ConfigMap]
}

// New makes the controller; call it before the caches run. rootCA is the
// cluster's certificate authority in PEM, which pods find in every namespace.
func New(client *sdk.Client, caches *controller.Caches, rootCA []byte) *Controller {
	return &Controller{
		client: client, rootCA: string(rootCA),
		namespaces: controller.Cache[*corev1.Namespace](caches),
		accounts:   controller.Cache[*corev1.ServiceAccount](caches),
		maps:       controller.Cache[*corev1.ConfigMap](caches),
	}
}

// Name implements controller.Controller.
func (c *Controller) Name() string { return "namespace" }

// Inputs implements controller.Controller.
func (c *Controller) Inputs() []controller.Input {
	return []controller.Input{
		controller.For(controller.Self[*corev1.Namespace]),
		controller.For(func(sa *corev1.ServiceAccount) []controller.Request { return ofNamed(sa, defaultAccount) }),
		controller.For(func(m *corev1.ConfigMap) []controller.Request { return ofNamed(m, rootCAMap) }),
	}
}

func ofNamed(obj metav1.Object, name string) []controller.Request {
	if obj.GetName() != name {
		return nil
	}
	return []controller.Request{{Name: obj.GetNamespace()}}
}

// Outputs implements controller.Controller.
func (c *Controller) Outputs() []string {
	return []string{"namespaces/finalize", "namespaces/status", "serviceaccounts", "configmaps"}
}

// Reconcile implements controller.Controller.
func (c *Controller) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	ns, ok := c.namespaces.Get("", req.Name)
	switch {
	case !ok:
		return controller.Result{}, nil
	case ns.DeletionTimestamp != nil:
		return c.empty(ctx, ns)
	}
	err := c.furnish(ctx, ns.Name)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) {
		err = nil // Deleted meanwhile; the cache will say so.
	}
	return controller.Result{}, err
}

// furnish makes sure of what every namespace holds.
func (c *Controller) furnish(ctx context.Context, namespace string) error {
	if _, ok := c.accounts.Get(namespace, defaultAccount); !ok {
		_, err := sdk.Create(ctx, c.client, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: defaultAccount}})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	if c.rootCA == "" {
		return nil
	}
	m, ok := c.maps.Get(namespace, rootCAMap)
	if !ok {
		_, err := sdk.Create(ctx, c.client, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: rootCAMap, Annotations: map[string]string{
				"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
			}},
			Data: map[string]string{rootCAKey: c.rootCA},
		})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	if m.Data[rootCAKey] == c.rootCA && len(m.Data) == 1 {
		return nil
	}
	m = m.DeepCopy()
	m.Data = map[string]string{rootCAKey: c.rootCA}
	_, err := sdk.Update(ctx, c.client, m)
	return err
}

// empty deletes what the namespace holds and, when nothing is left, the
// finalizer that keeps it.
func (c *Controller) empty(ctx context.Context, ns *corev1.Namespace) (controller.Result, error) {
	if !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		return controller.Result{}, nil
	}
	all, err := kinds.All(ctx, c.client)
	if err != nil {
		return controller.Result{}, err
	}
	all = slices.DeleteFunc(all, func(k sdk.Kind) bool { return !k.Namespaced })
	// What runs goes first, while all that it works with and is guarded by is there.
	slices.SortStableFunc(all, func(a, b sdk.Kind) int { return rank(a) - rank(b) })
	var left []Remaining
	var failures []error
	for _, k := range all {
		r, err := c.clear(ctx, k, ns.Name)
		if err != nil {
			failures = append(failures, fmt.Errorf("delete %s: %w", k.Resource, err))
		}
		if r.Count > 0 {
			left = append(left, r)
		}
		if k.Type == podType && len(left)+len(failures) > 0 {
			break
		}
	}
	if len(left) == 0 && len(failures) == 0 {
		return controller.Result{}, c.finalize(ctx, ns)
	}
	if err := c.report(ctx, ns, left, failures); err != nil {
		failures = append(failures, err)
	}
	return controller.Result{RequeueAfter: recheck}, errors.Join(failures...)
}

func rank(k sdk.Kind) int {
	if k.Type == podType {
		return 0
	}
	return 1
}

// clear deletes the objects of a kind that are not on their way out yet, and
// says what is there after that.
func (c *Controller) clear(ctx context.Context, k sdk.Kind, namespace string) (Remaining, error) {
	objects := sdk.MetadataOf(c.client, k.Type)
	r := Remaining{Resource: k.Resource + "." + k.Group}
	for {
		listed, err := objects.List(ctx, sdk.ListOptions{Namespace: namespace})
		if err != nil {
			return r, err
		}
		r.Count, r.Finalizers = int64(len(listed.Items)), map[string]int64{}
		var ops []sdk.Operation
		for _, obj := range listed.Items {
			for _, f := range obj.GetFinalizers() {
				r.Finalizers[f]++
			}
			if obj.GetDeletionTimestamp() == nil {
				ops = append(ops, objects.DeleteOp(namespace, obj.GetName(), sdk.DeleteOptions{
					UID: obj.GetUID(), Propagation: metav1.DeletePropagationBackground}))
			}
		}
		if len(ops) == 0 {
			return r, nil
		}
		if err := c.transact(ctx, ops); err != nil {
			return r, err
		}
	}
}

// transact deletes page by page. An object that went by itself meanwhile spoils
// its page; the caller looks again.
func (c *Controller) transact(ctx context.Context, ops []sdk.Operation) error {
	for chunk := range slices.Chunk(ops, page) {
		_, err := c.client.Transact(ctx, chunk...)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}

func (c *Controller) report(ctx context.Context, ns *corev1.Namespace, left []Remaining, failures []error) error {
	conditions := Conditions(ns.Status.Conditions, left, failures, time.Now().Truncate(time.Second))
	if equality.Semantic.DeepEqual(conditions, ns.Status.Conditions) {
		return nil
	}
	updated := ns.DeepCopy()
	updated.Status.Conditions = conditions
	_, err := sdk.UpdateStatus(ctx, c.client, updated)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // The next round tells.
	}
	return err
}

// finalize lets the namespace go.
func (c *Controller) finalize(ctx context.Context, ns *corev1.Namespace) error {
	done := ns.DeepCopy()
	done.Spec.Finalizers = slices.DeleteFunc(done.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
	obj, err := sdk.Encode(done)
	if err != nil {
		return err
	}
	_, err = apiv1.NewObjectServiceClient(c.client.Conn()).Update(ctx, &apiv1.UpdateRequest{
		Object: obj, Subresource: "finalize",
		Key: &apiv1.ObjectKey{Type: sdk.TypeNameOf[*corev1.Namespace](), Name: ns.Name},
	})
	if err != nil {
		return fmt.Errorf("finalize namespace %s: %w", ns.Name, err)
	}
	return nil
}
