package proxy_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/musterhq/muster/agent/proxy"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func ptr[T any](v T) *T { return &v }

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "whoami"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.96.7.7", Ports: []corev1.ServicePort{
			{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromString("web")},
		}},
	}
	if change != nil {
		change(s)
	}
	return s
}

type endpoint struct {
	ip, node                    string
	ready, serving, terminating bool
}

func slice(endpoints ...endpoint) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "whoami-1", Labels: map[string]string{discoveryv1.LabelServiceName: "whoami"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr("http"), Protocol: ptr(corev1.ProtocolTCP), Port: ptr(int32(8000))}},
	}
	for _, e := range endpoints {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{e.ip}, NodeName: ptr(e.node),
			Conditions: discoveryv1.EndpointConditions{Ready: ptr(e.ready), Serving: ptr(e.serving), Terminating: ptr(e.terminating)}})
	}
	return s
}

func ready(ip, node string) endpoint { return endpoint{ip, node, true, true, false} }

func targets(addrs ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range addrs {
		out = append(out, netip.MustParseAddrPort(a))
	}
	return out
}

func TestCompute(t *testing.T) {
	plain := proxy.Service{Name: "default/whoami:http", Protocol: proxy.TCP, ClusterIP: netip.MustParseAddr("10.96.7.7"), Port: 80}
	with := func(change func(*proxy.Service)) proxy.Service {
		s := plain
		change(&s)
		return s
	}
	for _, test := range []struct {
		name    string
		service *corev1.Service
		slices  []*discoveryv1.EndpointSlice
		want    []proxy.Service
	}{
		{"no slices", service(nil), nil, []proxy.Service{plain}},
		{"ready endpoints of all slices, sorted, each once", service(nil),
			[]*discoveryv1.EndpointSlice{slice(ready("10.244.2.2", "b"), ready("10.244.1.2", "a")), slice(ready("10.244.1.2", "a"))},
			[]proxy.Service{with(func(s *proxy.Service) { s.Endpoints = targets("10.244.1.2:8000", "10.244.2.2:8000") })}},
		{"terminating ones drain", service(nil),
			[]*discoveryv1.EndpointSlice{slice(ready("10.244.1.2", "a"), endpoint{"10.244.1.3", "a", false, true, true}, endpoint{"10.244.1.4", "a", false, false, true}, endpoint{"10.244.1.5", "a", false, false, false})},
			[]proxy.Service{with(func(s *proxy.Service) {
				s.Endpoints, s.Draining = targets("10.244.1.2:8000"), targets("10.244.1.3:8000", "10.244.1.4:8000")
			})}},
		{"terminating but serving ones stand in when none is ready", service(nil),
			[]*discoveryv1.EndpointSlice{slice(endpoint{"10.244.1.3", "a", false, true, true}, endpoint{"10.244.1.4", "a", false, false, true})},
			[]proxy.Service{with(func(s *proxy.Service) {
				s.Endpoints, s.Draining = targets("10.244.1.3:8000"), targets("10.244.1.4:8000")
			})}},
		{"node port", service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort; s.Spec.Ports[0].NodePort = 30080 }),
			[]*discoveryv1.EndpointSlice{slice(ready("10.244.2.2", "b"))},
			[]proxy.Service{with(func(s *proxy.Service) { s.NodePort, s.Endpoints = 30080, targets("10.244.2.2:8000") })}},
		{"node port with local traffic policy", service(func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalTrafficPolicy = corev1.ServiceTypeNodePort, corev1.ServiceExternalTrafficPolicyLocal
			s.Spec.Ports[0].NodePort = 30080
		}), []*discoveryv1.EndpointSlice{slice(ready("10.244.2.2", "b"), ready("10.244.1.2", "a"))},
			[]proxy.Service{
				{Name: "default/whoami:http", Protocol: proxy.TCP, NodePort: 30080, PreserveSource: true, Endpoints: targets("10.244.1.2:8000")},
				with(func(s *proxy.Service) { s.Endpoints = targets("10.244.1.2:8000", "10.244.2.2:8000") }),
			}},
		{"internal local traffic policy", service(func(s *corev1.Service) {
			s.Spec.InternalTrafficPolicy = ptr(corev1.ServiceInternalTrafficPolicyLocal)
		}), []*discoveryv1.EndpointSlice{slice(ready("10.244.2.2", "b"), ready("10.244.1.2", "a"))},
			[]proxy.Service{with(func(s *proxy.Service) { s.Endpoints = targets("10.244.1.2:8000") })}},
		{"affinity", service(func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }), nil,
			[]proxy.Service{with(func(s *proxy.Service) { s.Affinity = 3 * time.Hour })}},
		{"served by the node", service(func(s *corev1.Service) { s.Spec.ClusterIP = "10.96.0.10" }), nil, nil},
		{"headless", service(func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }), nil, nil},
		{"external name", service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName; s.Spec.ClusterIP = "" }), nil, nil},
		{"another port's slice", service(func(s *corev1.Service) { s.Spec.Ports[0].Name = "metrics" }),
			[]*discoveryv1.EndpointSlice{slice(ready("10.244.1.2", "a"))},
			[]proxy.Service{with(func(s *proxy.Service) { s.Name = "default/whoami:metrics" })}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := proxy.Compute([]*corev1.Service{test.service}, test.slices, proxy.Options{NodeName: "a", SelfServed: []netip.Addr{netip.MustParseAddr("10.96.0.10")}}).Services
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}
