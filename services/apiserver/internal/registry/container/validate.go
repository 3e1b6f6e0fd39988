// Package container says what a container of a pod may be: defaults, checks,
// and the fields that are honoured.
package container

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/resourcelist"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// Validate checks a container of any kind. names are those of the pod's containers so
// far, and grow.
func Validate(c *corev1.Container, names, volumes map[string]bool, path *field.Path) field.ErrorList {
	errs := check.UniqueLabel(c.Name, names, path.Child("name"))
	switch {
	case c.Image == "":
		errs = append(errs, field.Required(path.Child("image"), ""))
	case strings.TrimSpace(c.Image) != c.Image:
		errs = append(errs, field.Invalid(path.Child("image"), c.Image, "must not have leading or trailing whitespace"))
	}
	errs = append(errs, check.OneOf(path.Child("terminationMessagePolicy"), c.TerminationMessagePolicy,
		corev1.TerminationMessageFallbackToLogsOnError, corev1.TerminationMessageReadFile)...)
	errs = append(errs, check.OneOf(path.Child("imagePullPolicy"), c.ImagePullPolicy,
		corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
	errs = append(errs, validatePorts(c.Ports, path.Child("ports"))...)
	errs = append(errs, validateEnv(c.Env, path.Child("env"))...)
	errs = append(errs, validateEnvFrom(c.EnvFrom, path.Child("envFrom"))...)
	errs = append(errs, validateVolumeMounts(c.VolumeMounts, volumes, path.Child("volumeMounts"))...)
	errs = append(errs, ValidateResources(&c.Resources, path.Child("resources"))...)
	errs = append(errs, validateProbes(c, path)...)
	return append(errs, validateSecurityContext(c.SecurityContext, path.Child("securityContext"))...)
}

// ValidateInit checks what holds for init containers alone: only a sidecar runs
// on, so only a sidecar can be probed.
func ValidateInit(c *corev1.Container, path *field.Path) field.ErrorList {
	if c.RestartPolicy != nil {
		return check.OneOf(path.Child("restartPolicy"), *c.RestartPolicy, corev1.ContainerRestartPolicyAlways)
	}
	const only = "may not be set for init containers without restartPolicy=Always"
	var errs field.ErrorList
	for i, p := range c.ResizePolicy {
		if p.RestartPolicy == corev1.RestartContainer {
			errs = append(errs, field.Invalid(path.Child("resizePolicy").Index(i).Child("restartPolicy"), p.RestartPolicy,
				"must not be set to 'RestartContainer' for non-sidecar initContainers"))
		}
	}
	if c.Lifecycle != nil {
		errs = append(errs, field.Forbidden(path.Child("lifecycle"), only))
	}
	if c.LivenessProbe != nil {
		errs = append(errs, field.Forbidden(path.Child("livenessProbe"), only))
	}
	if c.ReadinessProbe != nil {
		errs = append(errs, field.Forbidden(path.Child("readinessProbe"), only))
	}
	if c.StartupProbe != nil {
		errs = append(errs, field.Forbidden(path.Child("startupProbe"), only))
	}
	return errs
}

func validatePorts(ports []corev1.ContainerPort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	for i, port := range ports {
		p := path.Index(i)
		if port.Name != "" {
			messages := validation.IsValidPortName(port.Name)
			errs = append(errs, check.Invalid(p.Child("name"), port.Name, messages)...)
			if len(messages) == 0 && names[port.Name] {
				errs = append(errs, field.Duplicate(p.Child("name"), port.Name))
			}
			names[port.Name] = true
		}
		if port.ContainerPort == 0 {
			errs = append(errs, field.Required(p.Child("containerPort"), ""))
		} else {
			errs = append(errs, check.Invalid(p.Child("containerPort"), port.ContainerPort, validation.IsValidPortNum(int(port.ContainerPort)))...)
		}
		if port.HostPort != 0 {
			errs = append(errs, check.Invalid(p.Child("hostPort"), port.HostPort, validation.IsValidPortNum(int(port.HostPort)))...)
		}
		errs = append(errs, check.OneOf(p.Child("protocol"), port.Protocol, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)...)
	}
	return errs
}

// ValidateHostPorts refuses host ports of a pod with a network of its own; with
// the host's network a port of the container is one of the host anyway.
func ValidateHostPorts(ports []corev1.ContainerPort, hostNetwork bool, seen map[string]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, port := range ports {
		if port.HostPort == 0 {
			continue
		}
		p := path.Index(i)
		if !hostNetwork {
			errs = append(errs, field.Forbidden(p.Child("hostPort"), support.NotSupported))
			continue
		}
		if port.HostPort != port.ContainerPort {
			errs = append(errs, field.Invalid(p.Child("containerPort"), port.ContainerPort, "must match `hostPort` when `hostNetwork` is true"))
		}
		key := fmt.Sprintf("%s/%s/%d", port.Protocol, port.HostIP, port.HostPort)
		if seen[key] {
			errs = append(errs, field.Duplicate(p.Child("hostPort"), key))
		}
		seen[key] = true
	}
	return errs
}

func validateVolumeMounts(mounts []corev1.VolumeMount, volumes map[string]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	paths := map[string]bool{}
	for i, m := range mounts {
		p := path.Index(i)
		switch {
		case m.Name == "":
			errs = append(errs, field.Required(p.Child("name"), ""))
		case !volumes[m.Name]:
			errs = append(errs, field.NotFound(p.Child("name"), m.Name))
		}
		if m.MountPath == "" {
			errs = append(errs, field.Required(p.Child("mountPath"), ""))
		}
		if paths[m.MountPath] {
			errs = append(errs, field.Invalid(p.Child("mountPath"), m.MountPath, "must be unique"))
		}
		paths[m.MountPath] = true
		errs = append(errs, validateSubPath(&m, p)...)
	}
	return errs
}

// ValidateBidirectional refuses to pass mounts on: only a container that may mount can.
func ValidateBidirectional(c *corev1.Container, path *field.Path) field.ErrorList {
	if c.SecurityContext != nil && ptr.Deref(c.SecurityContext.Privileged, false) {
		return nil
	}
	var errs field.ErrorList
	for i, m := range c.VolumeMounts {
		if m.MountPropagation != nil && *m.MountPropagation == corev1.MountPropagationBidirectional {
			errs = append(errs, field.Forbidden(path.Child("volumeMounts").Index(i).Child("mountPropagation"),
				"Bidirectional mount propagation is available only to privileged containers"))
		}
	}
	return errs
}

func validateSubPath(m *corev1.VolumeMount, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, sub := range [][2]string{{"subPath", m.SubPath}, {"subPathExpr", m.SubPathExpr}} {
		if strings.HasPrefix(sub[1], "/") {
			errs = append(errs, field.Invalid(path.Child(sub[0]), sub[1], "must be a relative path"))
		}
		errs = append(errs, check.NoBacksteps(sub[1], path.Child(sub[0]))...)
	}
	if m.SubPath != "" && m.SubPathExpr != "" {
		errs = append(errs, field.Invalid(path.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
	}
	if m.MountPropagation != nil {
		errs = append(errs, check.OneOf(path.Child("mountPropagation"), *m.MountPropagation,
			corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)...)
	}
	return errs
}

// ValidateResources checks what a container asks for and may take.
func ValidateResources(r *corev1.ResourceRequirements, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(r.Limits)) {
		p := path.Child("limits").Key(string(name))
		errs = append(errs, validateResourceName(name, p)...)
		errs = append(errs, validateAmount(name, r.Limits[name], p)...)
		if name == corev1.ResourceEphemeralStorage { // The scheduler counts requests; nobody ends who exceeds a limit.
			errs = append(errs, field.Forbidden(p, support.NotSupported))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		p := path.Child("requests").Key(string(name))
		request := r.Requests[name]
		errs = append(errs, validateResourceName(name, p)...)
		errs = append(errs, validateAmount(name, request, p)...)
		limit, limited := r.Limits[name]
		switch {
		case limited && resourcelist.Extended(name) && request.Cmp(limit) != 0:
			errs = append(errs, field.Invalid(path.Child("requests"), request.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String())))
		case limited && request.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(path.Child("requests"), request.String(),
				fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		case !limited && resourcelist.Extended(name):
			errs = append(errs, field.Required(path.Child("limits"), "Limit must be set for non overcommitable resources"))
		}
	}
	return errs
}

func validateAmount(name corev1.ResourceName, amount resource.Quantity, path *field.Path) field.ErrorList {
	errs := resourcelist.ValidateQuantity(amount, path)
	if resourcelist.Extended(name) && amount.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(path, amount.String(), "must be an integer"))
	}
	return errs
}

func validateResourceName(name corev1.ResourceName, path *field.Path) field.ErrorList {
	if errs := resourcelist.ValidateContainerName(name, path); len(errs) > 0 || !resourcelist.HugePages(name) {
		return errs
	}
	return field.ErrorList{field.Forbidden(path, support.NotSupported)}
}

func validateSecurityContext(sc *corev1.SecurityContext, path *field.Path) field.ErrorList {
	if sc == nil {
		return nil
	}
	errs := ValidateIDs(sc.RunAsUser, sc.RunAsGroup, path)
	errs = append(errs, ValidateSeccomp(sc.SeccompProfile, path.Child("seccompProfile"))...)
	if sc.ProcMount != nil && *sc.ProcMount != corev1.DefaultProcMount {
		errs = append(errs, field.Forbidden(path.Child("procMount"), support.NotSupported))
	}
	if ptr.Deref(sc.AllowPrivilegeEscalation, true) {
		return errs
	}
	if ptr.Deref(sc.Privileged, false) {
		errs = append(errs, field.Invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
	}
	if sc.Capabilities != nil && slices.Contains(sc.Capabilities.Add, "CAP_SYS_ADMIN") {
		errs = append(errs, field.Invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
	}
	return errs
}

// ValidateIDs checks the numbers of a user and a group.
func ValidateIDs(user, group *int64, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if user != nil {
		errs = append(errs, check.Invalid(path.Child("runAsUser"), *user, validation.IsValidUserID(*user))...)
	}
	if group != nil {
		errs = append(errs, check.Invalid(path.Child("runAsGroup"), *group, validation.IsValidGroupID(*group))...)
	}
	return errs
}
