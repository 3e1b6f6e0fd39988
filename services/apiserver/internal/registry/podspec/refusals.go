package podspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/container"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// refusedValues refuses values of fields that are honoured otherwise.
func refusedValues(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	refuse := func(bad bool, names ...string) {
		if bad {
			errs = append(errs, field.Forbidden(path.Child(names[0], names[1:]...), support.NotSupported))
		}
	}
	refuse(!ptr.Deref(spec.HostUsers, true), "hostUsers")
	if ptr.Deref(spec.ShareProcessNamespace, false) && spec.HostPID {
		errs = append(errs, field.Invalid(path.Child("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled"))
	}
	if p := spec.PreemptionPolicy; p != nil {
		errs = append(errs, check.OneOf(path.Child("preemptionPolicy"), *p, corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	if spec.OS != nil {
		errs = append(errs, check.OneOf(path.Child("os", "name"), spec.OS.Name, corev1.Linux, corev1.Windows)...)
		refuse(spec.OS.Name == corev1.Windows, "os", "name")
	}
	for i := range spec.Containers {
		errs = append(errs, container.ValidateStopSignal(&spec.Containers[i], spec.OS, path.Child("containers").Index(i))...)
	}
	for i := range spec.InitContainers {
		errs = append(errs, container.ValidateStopSignal(&spec.InitContainers[i], spec.OS, path.Child("initContainers").Index(i))...)
	}
	if sc := spec.SecurityContext; sc != nil {
		if p := sc.SupplementalGroupsPolicy; p != nil {
			errs = append(errs, check.OneOf(path.Child("securityContext", "supplementalGroupsPolicy"), *p,
				corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)...)
			refuse(*p == corev1.SupplementalGroupsPolicyStrict, "securityContext", "supplementalGroupsPolicy")
		}
		errs = append(errs, validateSysctls(spec, sc.Sysctls, path.Child("securityContext", "sysctls"))...)
	}
	return errs
}

// safeSysctls belong to a pod's own namespaces and harm nobody else; what is not
// here might be the node's.
var safeSysctls = strings.Fields(`kernel.shm_rmid_forced net.ipv4.ip_local_port_range net.ipv4.tcp_syncookies
	net.ipv4.ping_group_range net.ipv4.ip_unprivileged_port_start net.ipv4.ip_local_reserved_ports
	net.ipv4.tcp_keepalive_time net.ipv4.tcp_fin_timeout net.ipv4.tcp_keepalive_intvl net.ipv4.tcp_keepalive_probes
	net.ipv4.tcp_rmem net.ipv4.tcp_wmem`)

// What the name of a sysctl is at all.
const maxSysctlName = 253

var sysctlName = regexp.MustCompile(`^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`)

// validateSysctls refuses what only an administrator of the node may allow once all
// names are right, as that is where Kubernetes' API is content.
func validateSysctls(spec *corev1.PodSpec, list []corev1.Sysctl, path *field.Path) field.ErrorList {
	var errs, unsafe field.ErrorList
	seen := map[string]bool{}
	for i, s := range list {
		p := path.Index(i).Child("name")
		name := strings.ReplaceAll(s.Name, "/", ".")
		switch {
		case s.Name == "":
			errs = append(errs, field.Required(p, ""))
		case len(s.Name) > maxSysctlName || !sysctlName.MatchString(s.Name):
			errs = append(errs, field.Invalid(p, s.Name, fmt.Sprintf("must have at most %d characters and match regex %s", maxSysctlName, sysctlName)))
		case !slices.Contains(safeSysctls, name):
			unsafe = append(unsafe, field.Forbidden(p, fmt.Sprintf("forbidden sysctl: %q not allowlisted", s.Name)))
		case spec.HostNetwork && strings.HasPrefix(name, "net."):
			errs = append(errs, field.Invalid(p, s.Name, "may not be specified when 'hostNetwork' is true"))
		case spec.HostIPC && strings.HasPrefix(name, "kernel.shm"):
			errs = append(errs, field.Invalid(p, s.Name, "may not be specified when 'hostIPC' is true"))
		case seen[name]:
			errs = append(errs, field.Duplicate(p, s.Name))
		}
		seen[name] = true
	}
	if len(errs) > 0 {
		return errs
	}
	return unsafe
}
