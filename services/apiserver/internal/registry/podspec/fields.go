package podspec

import (
	"slices"

	"github.com/musterhq/muster/services/apiserver/internal/registry/container"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
	"github.com/musterhq/muster/services/apiserver/internal/registry/volume"
)

// fields are the fields of a pod that the agent and the scheduler honour.
// Of some, not every value is: refusals.go refuses the rest.
var fields = support.Fields(slices.Concat(
	[]string{
		"restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy",
		"nodeName", "nodeSelector", "schedulerName", "priorityClassName", "priority", "preemptionPolicy", "os.name",
		"hostname", "subdomain", "setHostnameAsFQDN", "enableServiceLinks",
		"hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace",
		"serviceAccountName", "serviceAccount", "automountServiceAccountToken", "imagePullSecrets.name",
		"readinessGates.conditionType", "runtimeClassName", "overhead",
	},
	support.Below("dnsConfig", []string{"nameservers", "searches", "options.name", "options.value"}),
	support.Below("hostAliases", []string{"ip", "hostnames"}),
	support.Below("tolerations", []string{"key", "operator", "value", "effect", "tolerationSeconds"}),
	support.Below("topologySpreadConstraints", []string{
		"maxSkew", "topologyKey", "whenUnsatisfiable", "labelSelector", "minDomains", "matchLabelKeys",
		"nodeAffinityPolicy", "nodeTaintsPolicy",
	}),
	support.Below("affinity.nodeAffinity", slices.Concat(
		support.Below(required+".nodeSelectorTerms", nodeTermFields),
		support.Below(preferred, slices.Concat([]string{"weight"}, support.Below("preference", nodeTermFields))),
	)),
	support.Below("affinity.podAffinity", podAffinityFields),
	support.Below("affinity.podAntiAffinity", podAffinityFields),
	support.Below("securityContext", []string{
		"runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "supplementalGroupsPolicy",
		"fsGroup", "fsGroupChangePolicy", "sysctls.name", "sysctls.value", "seccompProfile.type",
	}),
	support.Below("securityContext.seLinuxOptions", []string{"user", "role", "type", "level"}),
	support.Below("volumes", volume.Fields),
	support.Below("containers", container.Fields),
	support.Below("initContainers", slices.Concat([]string{"restartPolicy"}, container.Fields)),
)...)

const (
	required  = "requiredDuringSchedulingIgnoredDuringExecution"
	preferred = "preferredDuringSchedulingIgnoredDuringExecution"
)

// nodeTermFields select nodes.
var nodeTermFields = slices.Concat(
	support.Below("matchExpressions", []string{"key", "operator", "values"}),
	support.Below("matchFields", []string{"key", "operator", "values"}),
)

// podAffinityFields are what affinity to pods and the opposite have in common.
var podAffinityFields = slices.Concat(
	support.Below(required, podTermFields),
	support.Below(preferred, slices.Concat([]string{"weight"}, support.Below("podAffinityTerm", podTermFields))),
)

// podTermFields select pods, and say what is one place.
var podTermFields = []string{
	"labelSelector", "namespaces", "namespaceSelector", "topologyKey", "matchLabelKeys", "mismatchLabelKeys",
}
