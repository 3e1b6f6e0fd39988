package registry

import "slices"

// podSpecFields are the fields of a pod that the agent and the scheduler honour.
var podSpecFields = supported(slices.Concat(
	[]string{
		"restartPolicy", "terminationGracePeriodSeconds", "dnsPolicy", "dnsConfig", "hostAliases",
		"nodeName", "nodeSelector", "schedulerName", "tolerations",
		"hostname", "subdomain", "hostNetwork", "enableServiceLinks",
		"serviceAccountName", "serviceAccount", "automountServiceAccountToken", "imagePullSecrets",
		"securityContext.runAsUser", "securityContext.runAsGroup", "securityContext.runAsNonRoot",
		"securityContext.supplementalGroups",
		"volumes.name", "volumes.emptyDir.medium", "volumes.configMap", "volumes.secret", "volumes.hostPath",
	},
	below("containers", containerFields),
	below("initContainers", containerFields),
)...)

// containerFields are the fields of a container, an init container too, that
// the agent honours.
var containerFields = []string{
	"name", "image", "imagePullPolicy", "command", "args", "workingDir",
	"env.name", "env.value", "env.valueFrom.fieldRef", "env.valueFrom.resourceFieldRef",
	"env.valueFrom.configMapKeyRef", "env.valueFrom.secretKeyRef", "envFrom",
	"ports.name", "ports.containerPort", "ports.protocol", "ports.hostPort",
	"resources.limits", "resources.requests",
	"volumeMounts.name", "volumeMounts.mountPath", "volumeMounts.readOnly",
	"terminationMessagePath", "terminationMessagePolicy", "stdin", "stdinOnce", "tty",
	"securityContext.runAsUser", "securityContext.runAsGroup", "securityContext.runAsNonRoot",
	"securityContext.privileged", "securityContext.capabilities", "securityContext.readOnlyRootFilesystem",
	"securityContext.allowPrivilegeEscalation",
}

func below(parent string, names []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, parent+"."+name)
	}
	return paths
}
