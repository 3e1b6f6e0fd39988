// Package bootstrap keeps the objects that every cluster has: the namespaces,
// and the Services by which pods reach the API and the name service.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/networking"
	"github.com/musterhq/muster/services/apiserver/internal/registry/scheduling"
)

// How often the objects are looked after, and after an error.
const (
	interval = 2 * time.Second
	retry    = 250 * time.Millisecond
)

// Config is what New needs.
type Config struct {
	Objects *objects.Service
	// Name of this server.
	Name string
	// ServiceCIDR is where the fixed service addresses come from.
	ServiceCIDR netip.Prefix
	// Addresses returns where the REST API is reached, of all live members. It
	// does not block.
	Addresses func() []netip.AddrPort
	// Leading tells whether this server leads: what it knows of the others is
	// written, so that two views never fight. Nil is always. It does not block.
	Leading func() bool
	// Roles makes the default roles be there; nil makes none.
	Roles  func(ctx context.Context) error
	Logger *slog.Logger
}

// Keeper keeps the objects.
type Keeper struct {
	config Config
	logger *slog.Logger
	done   chan struct{} // closed when all objects were there once
}

// New returns a Keeper.
func New(config Config) (*Keeper, error) {
	if config.Objects == nil || config.Addresses == nil || config.Logger == nil || !config.ServiceCIDR.IsValid() {
		return nil, errors.New("new bootstrap: objects, addresses, service range and logger are required")
	}
	return &Keeper{config: config, logger: config.Logger.With("component", "bootstrap"), done: make(chan struct{})}, nil
}

// Done is closed once all objects were there.
func (k *Keeper) Done() <-chan struct{} { return k.done }

// Run keeps the objects until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	id := pki.ServerIdentity(k.config.Name)
	asServer := access.WithUser(ctx, access.User{Name: id.User, Groups: id.Groups})
	complete := false
	for {
		wait := interval
		if err := k.keep(asServer); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			wait = retry
			k.logger.Debug("objects not kept yet", "error", err)
		} else if !complete {
			complete = true
			close(k.done)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (k *Keeper) keep(ctx context.Context) error {
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		if err := k.ensure(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	for _, obj := range k.fixed() {
		if err := k.ensure(ctx, obj); err != nil {
			return err
		}
	}
	if k.config.Roles != nil {
		if err := k.config.Roles(ctx); err != nil {
			return err
		}
	}
	if k.config.Leading != nil && !k.config.Leading() {
		return nil
	}
	return k.keepEndpoints(ctx)
}

// fixed returns what is not changed once it is there.
func (k *Keeper) fixed() []registry.Object {
	list := []registry.Object{k.serviceCIDR()}
	for _, service := range k.services() {
		list = append(list, service)
	}
	for _, class := range scheduling.SystemPriorityClasses() {
		list = append(list, class)
	}
	return list
}

// serviceCIDR tells where cluster IPs come from.
func (k *Keeper) serviceCIDR() *networkingv1.ServiceCIDR {
	return &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{Name: networking.DefaultServiceCIDR},
		Spec:       networkingv1.ServiceCIDRSpec{CIDRs: []string{k.config.ServiceCIDR.Masked().String()}},
		Status: networkingv1.ServiceCIDRStatus{Conditions: []metav1.Condition{{
			Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue,
			Message: "Kubernetes default Service CIDR is ready", LastTransitionTime: metav1.Now(),
		}}},
	}
}

// services returns the Services with fixed addresses: the first of the range
// is the API's, the tenth the name service's.
func (k *Keeper) services() []*corev1.Service {
	api := k.config.ServiceCIDR.Masked().Addr().Next()
	dns := api
	for range 9 {
		dns = dns.Next()
	}
	return []*corev1.Service{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes",
			Labels: map[string]string{"component": "apiserver", "provider": "kubernetes"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: api.String(), ClusterIPs: []string{api.String()}, Type: corev1.ServiceTypeClusterIP,
			// No selector: the servers write the endpoints themselves.
			Ports: []corev1.ServicePort{{Name: "https", Protocol: corev1.ProtocolTCP, Port: 443, TargetPort: intstr.FromInt32(6443)}},
		},
	}, {
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-dns",
			Labels: map[string]string{"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: dns.String(), ClusterIPs: []string{dns.String()}, Type: corev1.ServiceTypeClusterIP,
			// No selector: every node answers this address itself.
			Ports: []corev1.ServicePort{
				{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, TargetPort: intstr.FromInt32(53)},
				{Name: "dns-tcp", Protocol: corev1.ProtocolTCP, Port: 53, TargetPort: intstr.FromInt32(53)},
			},
		},
	}}
}

// ensure creates an object that is not there.
func (k *Keeper) ensure(ctx context.Context, obj registry.Object) error {
	t, err := k.target(obj)
	if err != nil {
		return err
	}
	if _, err = k.config.Objects.Get(ctx, t, "0"); err == nil {
		return nil
	}
	if _, err = k.config.Objects.Create(ctx, objects.Target{Kind: t.Kind, Namespace: t.Namespace}, obj, false); apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create %s %s/%s: %w", t.Kind.Resource, t.Namespace, t.Name, err)
	}
	return nil
}

func (k *Keeper) target(obj registry.Object) (objects.Target, error) {
	kind, ok := k.config.Objects.Kinds().Of(obj)
	if !ok {
		return objects.Target{}, fmt.Errorf("bootstrap: %T is not served", obj)
	}
	return objects.Target{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}, nil
}
