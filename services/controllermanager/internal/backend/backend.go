// Package backend finds the pods behind a Service and says how fit each is to
// be sent traffic.
package backend

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/net"

	"github.com/musterhq/muster/services/controllermanager/internal/podstate"
)

// Backend is one pod behind a service.
type Backend struct {
	Pod *corev1.Pod
	// Ready says that it may be sent new connections.
	Ready bool
	// Serving is Ready without regard to whether the pod is ending.
	Serving bool
	// Terminating says that the pod was told to end.
	Terminating bool
	// Ports are the service's ports as this pod has them; a named target port
	// that it does not have is left out.
	Ports []Port
}

// Port is a port of a service as a pod answers it.
type Port struct {
	Name        string
	Protocol    corev1.Protocol
	AppProtocol *string
	Number      int32
}

// Selects says whether the service picks pods with the labels. A service without
// a selector picks none: its endpoints are somebody else's.
func Selects(svc *corev1.Service, podLabels map[string]string) bool {
	return managed(svc) && labels.Set(svc.Spec.Selector).AsSelectorPreValidated().Matches(labels.Set(podLabels))
}

// managed says whether the service's endpoints follow from pods.
func managed(svc *corev1.Service) bool {
	return len(svc.Spec.Selector) > 0 && svc.Spec.Type != corev1.ServiceTypeExternalName
}

// Of returns the backends of a service among the pods of its namespace, ordered
// by name. A pod on a node for which nodeReady is false is not ready whatever it
// last said of itself: nobody has heard of it since.
func Of(svc *corev1.Service, pods []*corev1.Pod, nodeReady func(node string) bool) []Backend {
	var out []Backend
	for _, pod := range pods {
		if !Selects(svc, pod.Labels) || podstate.Terminal(pod) || len(addresses(pod)) == 0 {
			continue
		}
		b := Backend{Pod: pod, Terminating: pod.DeletionTimestamp != nil}
		b.Serving = podstate.Ready(pod) && nodeReady(pod.Spec.NodeName)
		b.Ready = svc.Spec.PublishNotReadyAddresses || (b.Serving && !b.Terminating)
		b.Ports = ports(svc, pod)
		if len(b.Ports) == 0 && len(svc.Spec.Ports) > 0 {
			continue
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Backend) int { return cmp.Compare(a.Pod.Name, b.Pod.Name) })
	return out
}

func addresses(pod *corev1.Pod) []string {
	var ips []string
	for _, ip := range pod.Status.PodIPs {
		ips = append(ips, ip.IP)
	}
	if len(ips) == 0 && pod.Status.PodIP != "" {
		ips = append(ips, pod.Status.PodIP)
	}
	return ips
}

// Address returns the pod's address of the family, "" when it has none.
func (b Backend) Address(family corev1.IPFamily) string {
	for _, ip := range addresses(b.Pod) {
		if net.IsIPv6String(ip) == (family == corev1.IPv6Protocol) {
			return ip
		}
	}
	return ""
}

// Families are the address families of the service, its first one first.
func Families(svc *corev1.Service) []corev1.IPFamily {
	if len(svc.Spec.IPFamilies) > 0 {
		return svc.Spec.IPFamilies
	}
	if net.IsIPv6String(svc.Spec.ClusterIP) {
		return []corev1.IPFamily{corev1.IPv6Protocol}
	}
	return []corev1.IPFamily{corev1.IPv4Protocol}
}

// Hostname is the name that DNS gives the pod within the service, "" for none.
func (b Backend) Hostname(svc *corev1.Service) string {
	if b.Pod.Spec.Subdomain == svc.Name {
		return b.Pod.Spec.Hostname
	}
	return ""
}

func ports(svc *corev1.Service, pod *corev1.Pod) []Port {
	var out []Port
	for _, sp := range svc.Spec.Ports {
		number, ok := targetPort(pod, sp)
		if !ok {
			continue
		}
		out = append(out, Port{Name: sp.Name, Protocol: orTCP(sp.Protocol), AppProtocol: sp.AppProtocol, Number: number})
	}
	return out
}

// targetPort resolves a service port in a pod: a number as it is (the port's own
// when there is no target), a name by the containers' declared ports.
func targetPort(pod *corev1.Pod, sp corev1.ServicePort) (int32, bool) {
	if sp.TargetPort.Type == intstr.Int {
		if sp.TargetPort.IntVal == 0 {
			return sp.Port, true
		}
		return sp.TargetPort.IntVal, true
	}
	for _, c := range serving(pod) {
		for _, p := range c.Ports {
			if p.Name == sp.TargetPort.StrVal && orTCP(p.Protocol) == orTCP(sp.Protocol) {
				return p.ContainerPort, true
			}
		}
	}
	return 0, false
}

// orTCP is the protocol of a port that may not say.
func orTCP(p corev1.Protocol) corev1.Protocol { return cmp.Or(p, corev1.ProtocolTCP) }

// serving returns the containers that run for the pod's life: sidecars too.
func serving(pod *corev1.Pod) []corev1.Container {
	out := slices.Clone(pod.Spec.Containers)
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			out = append(out, c)
		}
	}
	return out
}
