// Package podspec says what a pod's spec may be, in a pod or in a template:
// defaults, checks, and the fields that are honoured.
package podspec

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/container"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
	"github.com/musterhq/muster/services/apiserver/internal/registry/volume"
)

// ValidatePod checks what a pod is to be.
func ValidatePod(obj *corev1.Pod) field.ErrorList {
	return Validate(&obj.Spec, field.NewPath("spec"))
}

// Validate checks what pods and pod templates have in common.
func Validate(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	lasting := *spec
	lasting.EphemeralContainers = nil // These have fields of their own.
	errs := support.Check(&lasting, fields, path)
	volumes, volumeErrs := volume.Validate(spec.Volumes, path.Child("volumes"))
	errs = append(errs, volumeErrs...)
	errs = append(errs, validateContainers(spec, volumes, path)...)
	errs = append(errs, check.OneOf(path.Child("restartPolicy"), spec.RestartPolicy,
		corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)...)
	errs = append(errs, check.OneOf(path.Child("dnsPolicy"), spec.DNSPolicy,
		corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)...)
	errs = append(errs, metav1validation.ValidateLabels(spec.NodeSelector, path.Child("nodeSelector"))...)
	errs = append(errs, validateSecurity(spec.SecurityContext, path.Child("securityContext"))...)
	for i, s := range spec.ImagePullSecrets {
		if s.Name == "" {
			errs = append(errs, field.Required(path.Child("imagePullSecrets").Index(i).Child("name"), ""))
		}
	}
	errs = append(errs, validateDNSConfig(spec, path.Child("dnsConfig"))...)
	errs = append(errs, validateNames(spec, path)...)
	errs = append(errs, validatePlacement(spec.Affinity, path.Child("affinity"))...)
	errs = append(errs, validateSpread(spec.TopologySpreadConstraints, path.Child("topologySpreadConstraints"))...)
	errs = append(errs, validateDeadline(spec.ActiveDeadlineSeconds, path.Child("activeDeadlineSeconds"))...)
	for i, g := range spec.ReadinessGates {
		p := path.Child("readinessGates").Index(i).Child("conditionType")
		errs = append(errs, check.Invalid(p, string(g.ConditionType), validation.IsQualifiedName(string(g.ConditionType)))...)
	}
	errs = append(errs, container.ValidateResources(&corev1.ResourceRequirements{Limits: spec.Overhead}, path.Child("overhead"))...)
	errs = append(errs, refusedValues(spec, path)...)
	errs = append(errs, ValidateTolerations(spec.Tolerations, path.Child("tolerations"))...)
	return append(errs, validateHostAliases(spec.HostAliases, path.Child("hostAliases"))...)
}

func validateDeadline(seconds *int64, path *field.Path) field.ErrorList {
	if seconds == nil || (*seconds >= 1 && *seconds <= math.MaxInt32) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, *seconds, validation.InclusiveRangeError(1, math.MaxInt32))}
}

func validateNames(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.ServiceAccountName != "" {
		errs = append(errs, check.Invalid(path.Child("serviceAccountName"), spec.ServiceAccountName,
			apivalidation.ValidateServiceAccountName(spec.ServiceAccountName, false))...)
	}
	if spec.NodeName != "" {
		errs = append(errs, check.Invalid(path.Child("nodeName"), spec.NodeName, apivalidation.NameIsDNSSubdomain(spec.NodeName, false))...)
	}
	if spec.RuntimeClassName != nil {
		errs = append(errs, check.Invalid(path.Child("runtimeClassName"), *spec.RuntimeClassName, apivalidation.NameIsDNSSubdomain(*spec.RuntimeClassName, false))...)
	}
	if spec.Hostname != "" {
		errs = append(errs, check.Invalid(path.Child("hostname"), spec.Hostname, validation.IsDNS1123Label(spec.Hostname))...)
	}
	if spec.Subdomain != "" {
		errs = append(errs, check.Invalid(path.Child("subdomain"), spec.Subdomain, validation.IsDNS1123Label(spec.Subdomain))...)
	}
	return errs
}

func validateSecurity(sc *corev1.PodSecurityContext, path *field.Path) field.ErrorList {
	if sc == nil {
		return nil
	}
	errs := container.ValidateIDs(sc.RunAsUser, sc.RunAsGroup, path)
	if sc.FSGroup != nil {
		errs = append(errs, check.Invalid(path.Child("fsGroup"), *sc.FSGroup, validation.IsValidGroupID(*sc.FSGroup))...)
	}
	if sc.FSGroupChangePolicy != nil {
		errs = append(errs, check.OneOf(path.Child("fsGroupChangePolicy"), *sc.FSGroupChangePolicy,
			corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)...)
	}
	errs = append(errs, container.ValidateSeccomp(sc.SeccompProfile, path.Child("seccompProfile"))...)
	for i, gid := range sc.SupplementalGroups {
		errs = append(errs, check.Invalid(path.Child("supplementalGroups").Index(i), gid, validation.IsValidGroupID(gid))...)
	}
	return errs
}

func validateHostAliases(list []corev1.HostAlias, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, a := range list {
		errs = append(errs, validation.IsValidIP(path.Index(i).Child("ip"), a.IP)...)
		for j, name := range a.Hostnames {
			errs = append(errs, check.Invalid(path.Index(i).Child("hostnames").Index(j), name, validation.IsDNS1123Subdomain(name))...)
		}
	}
	return errs
}

func validateContainers(spec *corev1.PodSpec, volumes map[string]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(spec.Containers) == 0 {
		errs = append(errs, field.Required(path.Child("containers"), ""))
	}
	names, hostPorts := map[string]bool{}, map[string]bool{}
	for i := range spec.Containers {
		p := path.Child("containers").Index(i)
		errs = append(errs, container.Validate(&spec.Containers[i], names, volumes, p)...)
		errs = append(errs, container.ValidateResizePolicy(spec.Containers[i].ResizePolicy, spec.RestartPolicy, p.Child("resizePolicy"))...)
		errs = append(errs, container.ValidateBidirectional(&spec.Containers[i], p)...)
		errs = append(errs, container.ValidateHostPorts(spec.Containers[i].Ports, spec.HostNetwork, hostPorts, p.Child("ports"))...)
	}
	for i := range spec.InitContainers {
		p := path.Child("initContainers").Index(i)
		errs = append(errs, container.Validate(&spec.InitContainers[i], names, volumes, p)...)
		errs = append(errs, container.ValidateResizePolicy(spec.InitContainers[i].ResizePolicy, spec.RestartPolicy, p.Child("resizePolicy"))...)
		errs = append(errs, container.ValidateInit(&spec.InitContainers[i], p)...)
		// Init containers run one after the other, so they may share a port.
		errs = append(errs, container.ValidateHostPorts(spec.InitContainers[i].Ports, spec.HostNetwork, map[string]bool{}, p.Child("ports"))...)
	}
	return append(errs, validateEphemeral(spec, names, volumes, path.Child("ephemeralContainers"))...)
}
