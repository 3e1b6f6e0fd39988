package container

import (
	"slices"

	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// probeFields are what a probe of any kind may say.
var probeFields = slices.Concat(
	[]string{
		"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
		"terminationGracePeriodSeconds", "exec.command", "tcpSocket.host", "tcpSocket.port", "grpc.port", "grpc.service",
	},
	support.Below("httpGet", []string{"path", "port", "host", "scheme", "httpHeaders.name", "httpHeaders.value"}),
)

// Fields are the fields of a container, an init container too, that
// the agent honours.
var Fields = slices.Concat(
	[]string{
		"name", "image", "imagePullPolicy", "command", "args", "workingDir",
		"terminationMessagePath", "terminationMessagePolicy", "stdin", "stdinOnce", "tty",
	},
	support.Below("env", []string{"name", "value"}),
	support.Below("env.valueFrom.fieldRef", []string{"apiVersion", "fieldPath"}),
	support.Below("env.valueFrom.resourceFieldRef", []string{"containerName", "resource", "divisor"}),
	support.Below("env.valueFrom.configMapKeyRef", []string{"name", "key", "optional"}),
	support.Below("env.valueFrom.secretKeyRef", []string{"name", "key", "optional"}),
	support.Below("envFrom", []string{"prefix", "configMapRef.name", "configMapRef.optional", "secretRef.name", "secretRef.optional"}),
	// A host port is checked by itself: on the host's network it is honoured.
	support.Below("ports", []string{"name", "containerPort", "protocol", "hostPort"}),
	support.Below("resources", []string{"limits", "requests"}),
	support.Below("resizePolicy", []string{"resourceName", "restartPolicy"}),
	support.Below("volumeMounts", []string{"name", "mountPath", "readOnly", "subPath", "subPathExpr", "mountPropagation"}),
	support.Below("readinessProbe", probeFields),
	support.Below("livenessProbe", probeFields),
	support.Below("startupProbe", probeFields),
	[]string{"lifecycle.stopSignal"},
	support.Below("securityContext", []string{
		"runAsUser", "runAsGroup", "runAsNonRoot", "privileged", "readOnlyRootFilesystem", "allowPrivilegeEscalation",
		"capabilities.add", "capabilities.drop", "seccompProfile.type", "procMount",
	}),
	support.Below("securityContext.seLinuxOptions", []string{"user", "role", "type", "level"}),
)
