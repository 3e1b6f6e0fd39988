package service

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

func defaultService(obj *corev1.Service) {
	spec := &obj.Spec
	if spec.Type == "" {
		spec.Type = corev1.ServiceTypeClusterIP
	}
	defaultAffinity(spec)
	for i := range spec.Ports {
		p := &spec.Ports[i]
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	defaultLoadBalancer(obj)
	if spec.ExternalTrafficPolicy == "" && externalType(spec.Type) {
		spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster
	}
	if spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	if spec.InternalTrafficPolicy == nil {
		spec.InternalTrafficPolicy = ptr.To(corev1.ServiceInternalTrafficPolicyCluster)
	}
	if spec.IPFamilyPolicy == nil {
		spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicySingleStack)
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
}

func defaultAffinity(spec *corev1.ServiceSpec) {
	switch spec.SessionAffinity {
	case "":
		spec.SessionAffinity = corev1.ServiceAffinityNone
		spec.SessionAffinityConfig = nil
	case corev1.ServiceAffinityNone:
		spec.SessionAffinityConfig = nil
	case corev1.ServiceAffinityClientIP:
		if c := spec.SessionAffinityConfig; c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil {
			spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{
				ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To(corev1.DefaultClientIPServiceAffinitySeconds)},
			}
		}
	}
}

// externalType tells whether services of the type have node ports.
func externalType(t corev1.ServiceType) bool {
	return t == corev1.ServiceTypeNodePort || t == corev1.ServiceTypeLoadBalancer
}

// wantsClusterIP tells whether services of the type have a cluster IP.
func wantsClusterIP(t corev1.ServiceType) bool {
	return t == corev1.ServiceTypeClusterIP || externalType(t)
}

func prepareService(obj *corev1.Service) {
	normalizeClusterIPs(obj, nil)
}

// updateService carries over what the server once allocated and the client left
// out (a client that replaces an object need not know it), and drops what only
// made sense for the type the service had before.
func updateService(obj, old *corev1.Service) {
	normalizeClusterIPs(obj, old)
	keepAllocated(obj, old)
	dropTypeDependent(obj, old)
	dropLoadBalancer(obj, old)
}

// normalizeClusterIPs keeps clusterIP and clusterIPs, two names of one thing, in
// agreement: who changes the one means both.
func normalizeClusterIPs(obj, old *corev1.Service) {
	spec := &obj.Spec
	if old == nil {
		if spec.ClusterIP != "" && len(spec.ClusterIPs) == 0 {
			spec.ClusterIPs = []string{spec.ClusterIP}
		}
		return
	}
	same := slices.Equal(spec.ClusterIPs, old.Spec.ClusterIPs)
	switch {
	case spec.ClusterIP == old.Spec.ClusterIP:
		// The client changed clusterIPs, or nothing.
		return
	case old.Spec.ClusterIP != "" && spec.ClusterIP == "" && same:
		spec.ClusterIPs = nil
	case spec.ClusterIP != "" && (len(spec.ClusterIPs) == 0 || same):
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
}

func keepAllocated(obj, old *corev1.Service) {
	if wantsClusterIP(old.Spec.Type) && wantsClusterIP(obj.Spec.Type) {
		if obj.Spec.ClusterIP == "" {
			obj.Spec.ClusterIP = old.Spec.ClusterIP
		}
		if len(obj.Spec.ClusterIPs) == 0 && obj.Spec.ClusterIP == old.Spec.ClusterIP {
			obj.Spec.ClusterIPs = slices.Clone(old.Spec.ClusterIPs)
		}
	}
	if !externalType(old.Spec.Type) || !externalType(obj.Spec.Type) {
		return
	}
	had := map[portKey]int32{}
	used := map[portKey]bool{}
	for _, p := range old.Spec.Ports {
		had[portKey{p.Protocol, p.Port}] = p.NodePort
	}
	for _, p := range obj.Spec.Ports {
		used[portKey{p.Protocol, p.NodePort}] = true
	}
	for i := range obj.Spec.Ports {
		p := &obj.Spec.Ports[i]
		n := had[portKey{p.Protocol, p.Port}]
		if p.NodePort == 0 && n != 0 && !used[portKey{p.Protocol, n}] {
			p.NodePort = n
		}
	}
}

type portKey struct {
	protocol corev1.Protocol
	port     int32
}

func dropTypeDependent(obj, old *corev1.Service) {
	spec := &obj.Spec
	if wantsClusterIP(old.Spec.Type) && !wantsClusterIP(spec.Type) && sameClusterIPs(obj, old) {
		spec.ClusterIP, spec.ClusterIPs = "", nil
	}
	if wantsClusterIP(old.Spec.Type) && !wantsClusterIP(spec.Type) {
		if check.Equal(spec.IPFamilies, old.Spec.IPFamilies) {
			spec.IPFamilies = nil
		}
		if check.Equal(spec.IPFamilyPolicy, old.Spec.IPFamilyPolicy) {
			spec.IPFamilyPolicy = nil
		}
		if check.Equal(spec.InternalTrafficPolicy, old.Spec.InternalTrafficPolicy) {
			spec.InternalTrafficPolicy = nil
		}
	}
	if old.Spec.Type == corev1.ServiceTypeExternalName && wantsClusterIP(spec.Type) && spec.ExternalName == old.Spec.ExternalName {
		spec.ExternalName = ""
	}
	if !externalType(old.Spec.Type) || externalType(spec.Type) {
		return
	}
	if sameNodePorts(obj, old) {
		for i := range spec.Ports {
			spec.Ports[i].NodePort = 0
		}
	}
	if spec.ExternalTrafficPolicy == old.Spec.ExternalTrafficPolicy {
		spec.ExternalTrafficPolicy = ""
	}
}

func sameClusterIPs(obj, old *corev1.Service) bool {
	return obj.Spec.ClusterIP == old.Spec.ClusterIP && slices.Equal(obj.Spec.ClusterIPs, old.Spec.ClusterIPs)
}

// sameNodePorts tells whether the client left the node ports alone: it names
// none that the service did not have.
func sameNodePorts(obj, old *corev1.Service) bool {
	had := map[int32]bool{0: true}
	for _, p := range old.Spec.Ports {
		had[p.NodePort] = true
	}
	return !slices.ContainsFunc(obj.Spec.Ports, func(p corev1.ServicePort) bool { return !had[p.NodePort] })
}
