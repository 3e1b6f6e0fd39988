package rest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// proxyName is the name of a proxy: "name", "name:port" or "scheme:name:port".
type proxyName struct{ id, scheme, name, port string }

// backendFuncs find what is behind an object, by resource.
var backendFuncs = map[string]struct {
	word string
	find func(*Handler, context.Context, objects.Target, proxyName) (backend, error)
}{
	"pods": {"pod", (*Handler).podBackend}, "services": {"service", (*Handler).serviceBackend}, "nodes": {"node", (*Handler).nodeBackend},
}

// backendOf finds what is behind the name of a proxy.
func (h *Handler) backendOf(r *http.Request, t objects.Target) (backend, error) {
	f := backendFuncs[t.Kind.Resource]
	n := proxyName{id: t.Name}
	var valid bool
	if n.scheme, n.name, n.port, valid = utilnet.SplitSchemeNamePort(t.Name); !valid {
		return backend{}, apierrors.NewBadRequest(fmt.Sprintf("invalid %s request %q", f.word, t.Name))
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	t.Name = n.name
	return f.find(h, ctx, t, n)
}

func (h *Handler) podBackend(ctx context.Context, t objects.Target, n proxyName) (backend, error) {
	pod, err := h.connected(ctx, t)
	if err != nil {
		return backend{}, err
	}
	port := n.port
	if port == "" {
		port = firstPort(&pod.Spec)
	}
	if ip := net.ParseIP(pod.Status.PodIP); ip == nil || !ip.IsGlobalUnicast() {
		return backend{}, apierrors.NewBadRequest("address not allowed")
	}
	b := backend{scheme: n.scheme, host: pod.Status.PodIP}
	if port != "" {
		b.host = net.JoinHostPort(pod.Status.PodIP, port)
	}
	b.dial = func(ctx context.Context, _, address string) (net.Conn, error) {
		number, err := portOf(address)
		if err != nil {
			return nil, err
		}
		return h.throughAgent(ctx, pod.Spec.NodeName, pod.Namespace, pod.Name, string(pod.UID), number)
	}
	return b, nil
}

// firstPort is the first that a container names; empty if none does.
func firstPort(spec *corev1.PodSpec) string {
	for i := range spec.Containers {
		if ports := spec.Containers[i].Ports; len(ports) > 0 {
			return strconv.Itoa(int(ports[0].ContainerPort))
		}
	}
	return ""
}

func portOf(address string) (int32, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("address %s: invalid port", address)
	}
	return int32(number), nil
}

// serviceBackend chooses an endpoint of the service at random.
func (h *Handler) serviceBackend(ctx context.Context, t objects.Target, n proxyName) (backend, error) {
	stored, err := h.objects.Read(ctx, objects.Target{Kind: t.Kind, Namespace: t.Namespace, Name: t.Name})
	if err != nil {
		return backend{}, err
	}
	obj, err := stored.Decode()
	if err != nil {
		return backend{}, err
	}
	port := n.port
	if number, err := strconv.ParseInt(port, 10, 64); err == nil {
		if port, err = portName(obj.(*corev1.Service), number); err != nil {
			return backend{}, err
		}
	}
	kind, ok := h.objects.Kinds().ByResource(schema.GroupVersionResource{Group: discoveryv1.GroupName, Version: "v1", Resource: "endpointslices"})
	if !ok {
		return backend{}, apierrors.NewInternalError(fmt.Errorf("endpointslices are not served"))
	}
	slices, err := h.objects.ReadList(ctx, objects.Target{Kind: kind, Namespace: t.Namespace}, discoveryv1.LabelServiceName+"="+t.Name, "")
	if err != nil {
		return backend{}, err
	}
	var all []backend
	for _, s := range slices {
		obj, err := s.Decode()
		if err != nil {
			return backend{}, err
		}
		all = append(all, h.endpoints(obj.(*discoveryv1.EndpointSlice), port)...)
	}
	if len(all) == 0 {
		return backend{}, apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", n.id))
	}
	chosen := all[rand.IntN(len(all))]
	chosen.scheme = n.scheme
	return chosen, nil
}

// portName is the name of the service's port with a number.
func portName(svc *corev1.Service, number int64) (string, error) {
	for _, p := range svc.Spec.Ports {
		if int64(p.Port) == number {
			return p.Name, nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, svc.Name))
}

// endpoints are the slice's ready ones that have the port.
func (h *Handler) endpoints(s *discoveryv1.EndpointSlice, port string) []backend {
	var out []backend
	for _, p := range s.Ports {
		if ptr.Deref(p.Name, "") != port || p.Port == nil {
			continue
		}
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			ip := net.ParseIP(e.Addresses[0])
			if !ptr.Deref(e.Conditions.Ready, true) || ip == nil || !ip.IsGlobalUnicast() {
				continue
			}
			b := backend{host: net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*p.Port))), dial: new(net.Dialer).DialContext}
			if ref := e.TargetRef; ref != nil && ref.Kind == "Pod" && e.NodeName != nil {
				b.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					return h.throughAgent(ctx, *e.NodeName, s.Namespace, ref.Name, string(ref.UID), *p.Port)
				}
			}
			out = append(out, b)
		}
	}
	return out
}

// nodeBackend is a port of the node; without one, the node's own service, which
// is no HTTP here: no dial says so.
func (h *Handler) nodeBackend(ctx context.Context, _ objects.Target, n proxyName) (backend, error) {
	address, err := h.agentAddress(ctx, n.name)
	if err != nil {
		return backend{}, err
	}
	host, own, err := net.SplitHostPort(address)
	if err != nil {
		return backend{}, apierrors.NewInternalError(err)
	}
	if n.port == "" || n.port == own {
		return backend{}, nil
	}
	return backend{scheme: n.scheme, host: net.JoinHostPort(host, n.port), dial: new(net.Dialer).DialContext}, nil
}
