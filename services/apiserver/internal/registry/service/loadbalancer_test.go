package service_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

func TestLoadBalancerNodePorts(t *testing.T) {
	k := kindtest.Kind(t, "services")
	for spec, want := range map[string]bool{
		`{type: LoadBalancer, ports: [{port: 80}]}`:                                       true,
		`{type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 80}]}`: false,
	} {
		obj := newService(t, spec)
		if err := k.Allocate(obj, nil, kindtest.Claimed{}.Taken, kindtest.First); err != nil {
			t.Fatal(err)
		}
		if got := obj.Spec.Ports[0].NodePort != 0; got != want || *obj.Spec.AllocateLoadBalancerNodePorts != want || obj.Spec.ClusterIP == "" {
			t.Errorf("%s: node port %d, cluster IP %q", spec, obj.Spec.Ports[0].NodePort, obj.Spec.ClusterIP)
		}
	}
}

func TestLoadBalancerStatus(t *testing.T) {
	k := kindtest.Kind(t, "services")
	balanced := newService(t, `{type: LoadBalancer, loadBalancerClass: a.example/b, ports: [{port: 80}]}`)
	plain := newService(t, `{ports: [{port: 80}]}`)
	vip := ptr.To(corev1.LoadBalancerIPModeVIP)
	for _, tt := range []struct {
		of   *corev1.Service
		in   corev1.LoadBalancerIngress
		want []string
	}{
		{balanced, corev1.LoadBalancerIngress{IP: "192.0.2.1", IPMode: vip}, nil},
		{balanced, corev1.LoadBalancerIngress{Hostname: "lb.example"}, nil},
		{balanced, corev1.LoadBalancerIngress{IP: "192.0.2.1"}, []string{"status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set"}},
		{balanced, corev1.LoadBalancerIngress{Hostname: "lb.example", IPMode: vip}, []string{"status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not set"}},
		{balanced, corev1.LoadBalancerIngress{Hostname: "192.0.2.1"}, []string{`status.loadBalancer.ingress[0].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address`}},
		{plain, corev1.LoadBalancerIngress{Hostname: "lb.example"}, []string{"status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"}},
	} {
		obj := tt.of.DeepCopy()
		obj.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{tt.in}
		kindtest.WantErrors(t, k.ValidateStatusUpdate(obj, tt.of), tt.want...)
	}
	there := balanced.DeepCopy()
	there.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1", IPMode: vip}}
	other := there.DeepCopy()
	other.Spec.LoadBalancerClass = ptr.To("a.example/c")
	kindtest.WantErrors(t, k.ValidateUpdate(other, there), `spec.loadBalancerClass: Invalid value: "a.example/c": may not change once set`)
	local := there.DeepCopy()
	local.Spec.Type = corev1.ServiceTypeClusterIP
	k.PrepareUpdate(local, there)
	if len(local.Status.LoadBalancer.Ingress) > 0 || local.Spec.LoadBalancerClass != nil || local.Spec.AllocateLoadBalancerNodePorts != nil {
		t.Errorf("of a service that is balanced no longer there is left %+v, %+v", local.Spec, local.Status)
	}
}
