package registry

import "slices"

// podSpecFields are the fields of a pod that the agent and the scheduler honour.
var podSpecFields = supported(slices.Concat(
	[]string{
		"restartPolicy", "terminationGracePeriodSeconds", "dnsPolicy",
		"nodeName", "nodeSelector", "schedulerName",
		"hostname", "subdomain", "hostNetwork", "enableServiceLinks",
		"serviceAccountName", "serviceAccount", "automountServiceAccountToken", "imagePullSecrets.name",
	},
	below("dnsConfig", []string{"nameservers", "searches", "options.name", "options.value"}),
	below("hostAliases", []string{"ip", "hostnames"}),
	below("tolerations", []string{"key", "operator", "value", "effect", "tolerationSeconds"}),
	below("securityContext", []string{"runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups"}),
	below("volumes", []string{"name", "emptyDir.medium", "hostPath.path", "hostPath.type"}),
	below("volumes.configMap", slices.Concat([]string{"name"}, projectionFields)),
	below("volumes.secret", slices.Concat([]string{"secretName"}, projectionFields)),
	below("containers", containerFields),
	below("initContainers", containerFields),
)...)

// projectionFields are what the volumes of config maps and secrets have in common.
var projectionFields = []string{"defaultMode", "optional", "items.key", "items.path", "items.mode"}

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
	below("volumeMounts", []string{"name", "mountPath", "readOnly"}),
	below("securityContext", []string{
		"runAsUser", "runAsGroup", "runAsNonRoot", "privileged", "readOnlyRootFilesystem", "allowPrivilegeEscalation",
		"capabilities.add", "capabilities.drop",
	}),
)

func below(parent string, names []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, parent+"."+name)
	}
	return paths
}
