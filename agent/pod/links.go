package pod

import (
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// serviceEnv makes the variables of docker links, for the services of the
// namespace (with links) and always for the cluster's own API.
func serviceEnv(all []*corev1.Service, namespace string, links bool) []corev1.EnvVar {
	chosen := map[string]*corev1.Service{}
	for _, s := range all {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		master := s.Namespace == "default" && s.Name == "kubernetes"
		if s.Namespace == namespace && (links || master) {
			chosen[s.Name] = s
		} else if _, taken := chosen[s.Name]; master && !taken {
			chosen[s.Name] = s
		}
	}
	keys := make([]string, 0, len(chosen))
	for k := range chosen {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var out []corev1.EnvVar
	for _, k := range keys {
		out = append(out, linkVars(chosen[k])...)
	}
	return out
}

func linkVars(s *corev1.Service) []corev1.EnvVar {
	if len(s.Spec.Ports) == 0 {
		return nil
	}
	word := func(t string) string { return strings.ToUpper(strings.ReplaceAll(t, "-", "_")) }
	prefix, ip := word(s.Name), s.Spec.ClusterIP
	port := func(p corev1.ServicePort) string { return strconv.Itoa(int(p.Port)) }
	first := s.Spec.Ports[0]
	out := []corev1.EnvVar{
		{Name: prefix + "_SERVICE_HOST", Value: ip},
		{Name: prefix + "_SERVICE_PORT", Value: port(first)},
	}
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			out = append(out, corev1.EnvVar{Name: prefix + "_SERVICE_PORT_" + word(p.Name), Value: port(p)})
		}
	}
	for i, p := range s.Spec.Ports {
		protocol := string(p.Protocol)
		if protocol == "" {
			protocol = "TCP"
		}
		url := strings.ToLower(protocol) + "://" + net.JoinHostPort(ip, port(p))
		if i == 0 {
			out = append(out, corev1.EnvVar{Name: prefix + "_PORT", Value: url})
		}
		base := fmt.Sprintf("%s_PORT_%d_%s", prefix, p.Port, strings.ToUpper(protocol))
		out = append(out, corev1.EnvVar{Name: base, Value: url},
			corev1.EnvVar{Name: base + "_PROTO", Value: strings.ToLower(protocol)},
			corev1.EnvVar{Name: base + "_PORT", Value: port(p)},
			corev1.EnvVar{Name: base + "_ADDR", Value: ip})
	}
	return out
}
