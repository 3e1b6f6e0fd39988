package bootstrap

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const portName = "https"

// keepEndpoints writes the addresses of all live servers behind the Service
// default/kubernetes. An update that changes nothing costs nothing.
func (k *Keeper) keepEndpoints(ctx context.Context) error {
	addresses := slices.Clone(k.config.Addresses())
	if len(addresses) == 0 {
		return nil
	}
	slices.SortFunc(addresses, netip.AddrPort.Compare)
	addresses = slices.Compact(addresses)
	for _, obj := range []registry.Object{endpoints(addresses), endpointSlice(addresses)} {
		if err := k.put(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// put makes an object what it is to be.
func (k *Keeper) put(ctx context.Context, obj registry.Object) error {
	t, err := k.target(obj)
	if err != nil {
		return err
	}
	_, err = k.config.Objects.Update(ctx, t, obj, false)
	if apierrors.IsNotFound(err) {
		_, err = k.config.Objects.Create(ctx, objects.Target{Kind: t.Kind, Namespace: t.Namespace}, obj, false)
	}
	if err != nil {
		return fmt.Errorf("write %s %s/%s: %w", t.Kind.Resource, t.Namespace, t.Name, err)
	}
	return nil
}

func endpoints(addresses []netip.AddrPort) *corev1.Endpoints { //nolint:staticcheck // Clients still read it.
	out := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{ //nolint:staticcheck // As above.
		Namespace: "default", Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"},
	}}
	byPort := map[uint16]int{}
	for _, a := range addresses {
		i, ok := byPort[a.Port()]
		if !ok {
			i = len(out.Subsets)
			byPort[a.Port()] = i
			out.Subsets = append(out.Subsets, corev1.EndpointSubset{ //nolint:staticcheck // As above.
				Ports: []corev1.EndpointPort{{Name: portName, Port: int32(a.Port()), Protocol: corev1.ProtocolTCP}}, //nolint:staticcheck // As above.
			})
		}
		out.Subsets[i].Addresses = append(out.Subsets[i].Addresses, corev1.EndpointAddress{IP: a.Addr().String()}) //nolint:staticcheck // As above.
	}
	return out
}

// endpointSlice has one port for all addresses: that of the first; servers of
// one cluster listen on the same port.
func endpointSlice(addresses []netip.AddrPort) *discoveryv1.EndpointSlice {
	name, port, protocol, ready := portName, int32(addresses[0].Port()), corev1.ProtocolTCP, true
	out := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
	}
	for _, a := range addresses {
		if a.Addr().Is6() {
			out.AddressType = discoveryv1.AddressTypeIPv6
		}
		out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{a.Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		})
	}
	return out
}
