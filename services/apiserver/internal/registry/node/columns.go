package node

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

func nodeColumns() []registry.Column {
	info := func(name, description string, value func(corev1.NodeSystemInfo) string) registry.Column {
		return registry.Wide(registry.ColumnOf(name, "string", description, func(obj *corev1.Node) any {
			if v := value(obj.Status.NodeInfo); v != "" {
				return v
			}
			return registry.UnknownCell
		}))
	}
	address := func(t corev1.NodeAddressType) func(*corev1.Node) any {
		return func(obj *corev1.Node) any {
			for _, a := range obj.Status.Addresses {
				if a.Type == t {
					return a.Address
				}
			}
			return registry.NoneCell
		}
	}
	return []registry.Column{
		registry.ColumnOf("Status", "string", "The status of the node", func(obj *corev1.Node) any { return nodeStatus(obj) }),
		registry.ColumnOf("Roles", "string", "The roles of the node", func(obj *corev1.Node) any { return nodeRoles(obj) }),
		registry.Age(),
		registry.ColumnOf("Version", "string", "Kubelet Version reported by the node.", func(obj *corev1.Node) any { return obj.Status.NodeInfo.KubeletVersion }),
		registry.Wide(registry.ColumnOf("Internal-IP", "string", "List of addresses reachable to the node.", address(corev1.NodeInternalIP))),
		registry.Wide(registry.ColumnOf("External-IP", "string", "List of addresses reachable to the node.", address(corev1.NodeExternalIP))),
		info("OS-Image", "OS Image reported by the node.", func(i corev1.NodeSystemInfo) string { return i.OSImage }),
		info("Kernel-Version", "Kernel Version reported by the node.", func(i corev1.NodeSystemInfo) string { return i.KernelVersion }),
		info("Container-Runtime", "ContainerRuntime Version reported by the node.", func(i corev1.NodeSystemInfo) string { return i.ContainerRuntimeVersion }),
	}
}

func nodeStatus(obj *corev1.Node) string {
	status := "Unknown"
	for _, c := range obj.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		if c.Status == corev1.ConditionTrue {
			status = "Ready"
		} else {
			status = "NotReady"
		}
	}
	if obj.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

func nodeRoles(obj *corev1.Node) string {
	var roles []string
	for label, value := range obj.Labels {
		if role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/"); ok && role != "" {
			roles = append(roles, role)
		} else if label == "kubernetes.io/role" && value != "" {
			roles = append(roles, value)
		}
	}
	slices.Sort(roles)
	return registry.OrNone(strings.Join(slices.Compact(roles), ","))
}
