package registry

import "slices"

// podSpecFields are the fields of a pod that the agent and the scheduler honour.
// Of some, not every value is: pod_refusals.go refuses the rest.
var podSpecFields = supported(slices.Concat(
	[]string{
		"restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy",
		"nodeName", "nodeSelector", "schedulerName", "priorityClassName", "priority", "preemptionPolicy", "os.name",
		"hostname", "subdomain", "setHostnameAsFQDN", "enableServiceLinks",
		"hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace",
		"serviceAccountName", "serviceAccount", "automountServiceAccountToken", "imagePullSecrets.name",
		"readinessGates.conditionType",
	},
	below("dnsConfig", []string{"nameservers", "searches", "options.name", "options.value"}),
	below("hostAliases", []string{"ip", "hostnames"}),
	below("tolerations", []string{"key", "operator", "value", "effect", "tolerationSeconds"}),
	below("topologySpreadConstraints", []string{
		"maxSkew", "topologyKey", "whenUnsatisfiable", "labelSelector", "minDomains", "matchLabelKeys",
		"nodeAffinityPolicy", "nodeTaintsPolicy",
	}),
	below("affinity.nodeAffinity", slices.Concat(
		below(required+".nodeSelectorTerms", nodeTermFields),
		below(preferred, slices.Concat([]string{"weight"}, below("preference", nodeTermFields))),
	)),
	below("affinity.podAffinity", podAffinityFields),
	below("affinity.podAntiAffinity", podAffinityFields),
	below("securityContext", []string{
		"runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "supplementalGroupsPolicy",
		"fsGroup", "fsGroupChangePolicy", "sysctls.name", "sysctls.value", "seccompProfile.type",
	}),
	below("volumes", []string{"name", "emptyDir.medium", "emptyDir.sizeLimit", "hostPath.path", "hostPath.type"}),
	below("volumes.persistentVolumeClaim", []string{"claimName", "readOnly"}),
	below("volumes.configMap", slices.Concat([]string{"name", "defaultMode"}, projectionFields)),
	below("volumes.secret", slices.Concat([]string{"secretName", "defaultMode"}, projectionFields)),
	below("volumes.downwardAPI", slices.Concat([]string{"defaultMode"}, downwardFields)),
	below("volumes.projected", []string{"defaultMode"}),
	below("volumes.projected.sources.configMap", slices.Concat([]string{"name"}, projectionFields)),
	below("volumes.projected.sources.secret", slices.Concat([]string{"name"}, projectionFields)),
	below("volumes.projected.sources.downwardAPI", downwardFields),
	below("volumes.projected.sources.serviceAccountToken", []string{"audience", "expirationSeconds", "path"}),
	below("containers", containerFields),
	below("initContainers", slices.Concat([]string{"restartPolicy"}, containerFields)),
)...)

// ephemeralFields are those of an ephemeral container. What none may have is
// refused beside it, in Kubernetes' words.
var ephemeralFields = supported(slices.Concat(containerFields, []string{"restartPolicy", "lifecycle.preStop", "lifecycle.postStart", "resizePolicy"})...)

const (
	required  = "requiredDuringSchedulingIgnoredDuringExecution"
	preferred = "preferredDuringSchedulingIgnoredDuringExecution"
)

// nodeTermFields select nodes.
var nodeTermFields = slices.Concat(
	below("matchExpressions", []string{"key", "operator", "values"}),
	below("matchFields", []string{"key", "operator", "values"}),
)

// podAffinityFields are what affinity to pods and the opposite have in common.
var podAffinityFields = slices.Concat(
	below(required, podTermFields),
	below(preferred, slices.Concat([]string{"weight"}, below("podAffinityTerm", podTermFields))),
)

// podTermFields select pods, and say what is one place.
var podTermFields = []string{
	"labelSelector", "namespaces", "namespaceSelector", "topologyKey", "matchLabelKeys", "mismatchLabelKeys",
}

// projectionFields are what the volumes of config maps and secrets have in common.
var projectionFields = []string{"optional", "items.key", "items.path", "items.mode"}

// downwardFields are the files of a pod's own fields.
var downwardFields = below("items", []string{
	"path", "mode", "fieldRef.apiVersion", "fieldRef.fieldPath",
	"resourceFieldRef.containerName", "resourceFieldRef.resource", "resourceFieldRef.divisor",
})

// probeFields are what a probe of any kind may say.
var probeFields = slices.Concat(
	[]string{
		"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
		"terminationGracePeriodSeconds", "exec.command", "tcpSocket.host", "tcpSocket.port", "grpc.port", "grpc.service",
	},
	below("httpGet", []string{"path", "port", "host", "scheme", "httpHeaders.name", "httpHeaders.value"}),
)

// containerFields are the fields of a container, an init container too, that
// the agent honours.
var containerFields = slices.Concat(
	[]string{
		"name", "image", "imagePullPolicy", "command", "args", "workingDir",
		"terminationMessagePath", "terminationMessagePolicy", "stdin", "stdinOnce", "tty",
	},
	below("env", []string{"name", "value"}),
	below("env.valueFrom.fieldRef", []string{"apiVersion", "fieldPath"}),
	below("env.valueFrom.resourceFieldRef", []string{"containerName", "resource", "divisor"}),
	below("env.valueFrom.configMapKeyRef", []string{"name", "key", "optional"}),
	below("env.valueFrom.secretKeyRef", []string{"name", "key", "optional"}),
	below("envFrom", []string{"prefix", "configMapRef.name", "configMapRef.optional", "secretRef.name", "secretRef.optional"}),
	// A host port is checked by itself: on the host's network it is honoured.
	below("ports", []string{"name", "containerPort", "protocol", "hostPort"}),
	below("resources", []string{"limits", "requests"}),
	below("volumeMounts", []string{"name", "mountPath", "readOnly", "subPath", "subPathExpr", "mountPropagation"}),
	below("readinessProbe", probeFields),
	below("livenessProbe", probeFields),
	below("startupProbe", probeFields),
	[]string{"lifecycle.stopSignal"},
	below("securityContext", []string{
		"runAsUser", "runAsGroup", "runAsNonRoot", "privileged", "readOnlyRootFilesystem", "allowPrivilegeEscalation",
		"capabilities.add", "capabilities.drop", "seccompProfile.type", "procMount",
	}),
)

func below(parent string, names []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, parent+"."+name)
	}
	return paths
}
