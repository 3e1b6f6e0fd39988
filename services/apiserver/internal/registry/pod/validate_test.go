package pod_test

import (
	"strings"
	"testing"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

// notSupported is what is said of a field that Kubernetes knows and Muster does
// not honour.
const notSupported = ": Forbidden: not supported by this version of Muster"

// refusal is a pod's spec and the errors that it gets, a line each.
type refusal struct{ name, spec, want string }

func checkRefusals(t *testing.T, refusals []refusal) {
	t.Helper()
	k := kindtest.Kind(t, "pods")
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			obj := kindtest.Prepare(k, kindtest.Decode(t, k, "metadata: {name: web, namespace: default}\nspec: "+tt.spec))
			var want []string
			if tt.want != "" {
				want = strings.Split(tt.want, "\n")
			}
			kindtest.WantErrors(t, kindtest.Validate(k, obj), want...)
		})
	}
}

func TestPodValidation(t *testing.T) {
	checkRefusals(t, []refusal{
		{"no container", `{}`, `spec.containers: Required value`},
		{"restart policy", `{restartPolicy: Sometimes, containers: [{name: a, image: a}]}`, `spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"`},
		{"no nameservers", `{dnsPolicy: None, containers: [{name: a, image: a}]}`, `spec.dnsConfig: Required value: must provide ` + "`dnsConfig` when `dnsPolicy`" + ` is None`},
		{"hostname", `{hostname: A_b, containers: [{name: a, image: a}]}`, `spec.hostname: Invalid value: "A_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		{"host network", `{hostNetwork: true, containers: [{name: a, image: a, ports: [{containerPort: 80}]}]}`, ``},
		{"deadline", `{activeDeadlineSeconds: 0, containers: [{name: a, image: a}]}`, `spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive`},
		{"no sysctl", `{securityContext: {sysctls: [{name: vm.swappiness, value: "1"}, {name: foo-, value: "1"}]}, containers: [{name: a, image: a}]}`,
			`spec.securityContext.sysctls[1].name: Invalid value: "foo-": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`},
		{"sysctl", `{securityContext: {sysctls: [{name: vm.swappiness, value: "1"}]}, containers: [{name: a, image: a}]}`, `spec.securityContext.sysctls[0].name: Forbidden: forbidden sysctl: "vm.swappiness" not allowlisted`},
		{"seccomp", `{securityContext: {seccompProfile: {type: Localhost, localhostProfile: a}}, containers: [{name: a, image: a}]}`, "spec.securityContext.seccompProfile.localhostProfile" + notSupported + "\nspec.securityContext.seccompProfile.type" + notSupported},
		{"all that is honoured", everything, ""},
	})
}

func TestContainerValidation(t *testing.T) {
	checkRefusals(t, []refusal{
		{"no image", `{containers: [{name: a}]}`, `spec.containers[0].image: Required value`},
		{"no name", `{containers: [{image: a}]}`, `spec.containers[0].name: Required value`},
		{"space around image", `{containers: [{name: a, image: "a "}]}`, `spec.containers[0].image: Invalid value: "a ": must not have leading or trailing whitespace`},
		{"same name twice", `{containers: [{name: a, image: a}, {name: a, image: b}]}`, `spec.containers[1].name: Duplicate value: "a"`},
		{"port out of range", `{containers: [{name: a, image: a, ports: [{containerPort: 70000}]}]}`, `spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`},
		{"no port", `{containers: [{name: a, image: a, ports: [{name: http}]}]}`, `spec.containers[0].ports[0].containerPort: Required value`},
		{"protocol", `{containers: [{name: a, image: a, ports: [{containerPort: 80, protocol: tcp}]}]}`, `spec.containers[0].ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"`},
		{"pull policy", `{containers: [{name: a, image: a, imagePullPolicy: Sometimes}]}`, `spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"`},
		{"more requested than allowed", `{containers: [{name: a, image: a, resources: {limits: {cpu: 1}, requests: {cpu: 2}}}]}`, `spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`},
		{"negative limit", `{containers: [{name: a, image: a, resources: {requests: {memory: -1Mi}}}]}`, `spec.containers[0].resources.requests[memory]: Invalid value: "-1Mi": must be greater than or equal to 0`},
		{"device", `{containers: [{name: a, image: a, resources: {limits: {example.com/gpu: 1}, requests: {example.com/gpu: 1}}}]}`, ""},
		{"device by halves", `{containers: [{name: a, image: a, resources: {limits: {example.com/gpu: 2}, requests: {example.com/gpu: 1}}}]}`, "spec.containers[0].resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2"},
		{"part of a device", `{containers: [{name: a, image: a, resources: {limits: {example.com/gpu: 500m}}}]}`, "spec.containers[0].resources.limits[example.com/gpu]: Invalid value: \"500m\": must be an integer\nspec.containers[0].resources.requests[example.com/gpu]: Invalid value: \"500m\": must be an integer"},
		{"disk", `{containers: [{name: a, image: a, resources: {requests: {ephemeral-storage: 1Gi}}}]}`, ""},
		{"limit of disk", `{containers: [{name: a, image: a, resources: {limits: {ephemeral-storage: 1Gi}}}]}`, "spec.containers[0].resources.limits[ephemeral-storage]" + notSupported},
		{"value and source", `{containers: [{name: a, image: a, env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]}`, `spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when ` + "`value`" + ` is not empty`},
		{"unknown field path", `{containers: [{name: a, image: a, env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.zone}}}]}]}`, `spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.zone": error converting fieldPath: field label not supported: metadata.zone`},
		{"label as variable", `{containers: [{name: a, image: a, env: [{name: A, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}]}]}`, ``},
		{"privileged without escalation", `{containers: [{name: a, image: a, securityContext: {runAsUser: -1}}]}`, `spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive`},
		{"sidecar policy", `{initContainers: [{name: i, image: a, restartPolicy: Never}], containers: [{name: a, image: a}]}`, `spec.initContainers[0].restartPolicy: Unsupported value: "Never": supported values: "Always"`},
		{"restart of one", `{containers: [{name: a, image: a, restartPolicy: Always}]}`, "spec.containers[0].restartPolicy" + notSupported},
		{"runtime class", `{runtimeClassName: A, containers: [{name: a, image: a}]}`, `spec.runtimeClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`},
		{"overhead", `{runtimeClassName: vm, overhead: {cpu: -1}, containers: [{name: a, image: a}]}`, `spec.overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0`},
		{"whose processes", `{hostPID: true, shareProcessNamespace: true, containers: [{name: a, image: a}]}`, "spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"},
		{"host port", `{containers: [{name: a, image: a, ports: [{containerPort: 80, hostPort: 80}]}]}`, "spec.containers[0].ports[0].hostPort" + notSupported},
	})
}

func TestVolumeValidation(t *testing.T) {
	checkRefusals(t, []refusal{
		{"mount of nothing", `{containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v}]}]}`, `spec.containers[0].volumeMounts[0].name: Not found: "v"`},
		{"path mounted twice", `{volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /v}]}]}`, `spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique`},
		{"two sources", `{volumes: [{name: v, emptyDir: {}, secret: {secretName: s}}], containers: [{name: a, image: a}]}`, `spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type`},
		{"backsteps", `{volumes: [{name: v, hostPath: {path: /a/../b}}], containers: [{name: a, image: a}]}`, `spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'`},
		{"mode", `{volumes: [{name: v, configMap: {name: c, defaultMode: 512}}], containers: [{name: a, image: a}]}`, `spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive`},
		{"subPath", `{volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v, subPath: ../s}]}]}`, `spec.containers[0].volumeMounts[0].subPath: Invalid value: "../s": must not contain '..'`},
		{"mounts passed on", `{volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]}]}`, `spec.containers[0].volumeMounts[0].mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`},
		{"claim", `{volumes: [{name: v, persistentVolumeClaim: {claimName: c, readOnly: true}}], containers: [{name: a, image: a}]}`, ""},
		{"claim without a name", `{volumes: [{name: v, persistentVolumeClaim: {}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].persistentVolumeClaim.claimName: Required value"},
		{"claim in the pod", `{volumes: [{name: v, ephemeral: {}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].ephemeral" + notSupported},
		{"downward API", `{volumes: [{name: v, downwardAPI: {items: [{path: p, fieldRef: {fieldPath: status.podIP}}]}}], containers: [{name: a, image: a}]}`, `spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"`},
		{"token", `{volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}], containers: [{name: a, image: a}]}`, ""},
		{"token without a path", `{volumes: [{name: v, projected: {sources: [{serviceAccountToken: {audience: a}}]}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].projected.path: Required value"},
		{"token for a minute", `{volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t, expirationSeconds: 60}}]}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes"},
		{"owner of files", `{volumes: [{name: v, configMap: {name: c, defaultUser: 1}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].configMap.defaultUser" + notSupported},
		{"size of a directory", `{volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].emptyDir.sizeLimit" + notSupported + ", but for medium Memory"},
	})
}

func TestProbeValidation(t *testing.T) {
	checkRefusals(t, []refusal{
		{"probe without command", `{containers: [{name: a, image: a, readinessProbe: {exec: {command: []}}}]}`, `spec.containers[0].readinessProbe.exec.command: Required value`},
		{"probe without handler", `{containers: [{name: a, image: a, readinessProbe: {}}]}`, `spec.containers[0].readinessProbe: Required value: must specify a handler type`},
		{"two handlers", `{containers: [{name: a, image: a, livenessProbe: {httpGet: {port: 80}, tcpSocket: {port: 80}}}]}`, `spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type`},
		{"probe of port 0", `{containers: [{name: a, image: a, livenessProbe: {tcpSocket: {port: 0}}}]}`, `spec.containers[0].livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive`},
		{"probe by scheme", `{containers: [{name: a, image: a, startupProbe: {httpGet: {port: http, scheme: FTP}}}]}`, `spec.containers[0].startupProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"`},
		{"liveness twice", `{containers: [{name: a, image: a, livenessProbe: {grpc: {port: 1}, successThreshold: 2}}]}`, `spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1`},
		{"readiness does not kill", `{containers: [{name: a, image: a, readinessProbe: {grpc: {port: 1}, terminationGracePeriodSeconds: 2}}]}`, `spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 2: must not be set for readinessProbes`},
		{"probe period", `{containers: [{name: a, image: a, readinessProbe: {grpc: {port: 1}, periodSeconds: -2}}]}`, `spec.containers[0].readinessProbe.periodSeconds: Invalid value: -2: must be greater than or equal to 0`},
		{"probe of init", `{initContainers: [{name: i, image: a, readinessProbe: {grpc: {port: 1}}}], containers: [{name: a, image: a}]}`, `spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always`},
		{"lifecycle", `{containers: [{name: a, image: a, lifecycle: {preStop: {exec: {command: [a]}}}}]}`, "spec.containers[0].lifecycle.preStop" + notSupported},
		{"stop signal", `{containers: [{name: a, image: a, lifecycle: {stopSignal: SIGUSR1}}]}`, "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`"},
	})
}

func TestSchedulingValidation(t *testing.T) {
	checkRefusals(t, []refusal{
		{"toleration without key", `{tolerations: [{operator: Equal, effect: NoSchedule}], containers: [{name: a, image: a}]}`, `spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when ` + "`key`" + ` is empty, which means "match all values and all keys"`},
		{"empty affinity", `{affinity: {}, containers: [{name: a, image: a}]}`, ``},
		{"no terms", `{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}, containers: [{name: a, image: a}]}`, `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term`},
		{"node operator", `{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {matchExpressions: [{key: a, operator: In}]}}]}}, containers: [{name: a, image: a}]}`, "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100\nspec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"},
		{"no place", `{affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{labelSelector: {matchLabels: {a: b}}}]}}, containers: [{name: a, image: a}]}`, `spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty`},
		{"some namespaces", `{affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a, namespaceSelector: {matchLabels: {a: b}}}]}}, containers: [{name: a, image: a}]}`, "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaceSelector" + notSupported + ", but for {}"},
		{"skew", `{topologySpreadConstraints: [{maxSkew: 0, topologyKey: a, whenUnsatisfiable: Never}], containers: [{name: a, image: a}]}`, "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero\nspec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Never\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\""},
	})
}

// everything uses each field that a pod may have.
const everything = `
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 5
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.1], searches: [example.com], options: [{name: ndots, value: "2"}]}
  hostAliases: [{ip: 192.0.2.1, hostnames: [a.example]}]
  nodeName: n1
  nodeSelector: {disk: fast}
  schedulerName: default-scheduler
  tolerations: [{key: a, operator: Equal, value: b, effect: NoExecute, tolerationSeconds: 5}]
  hostname: h
  subdomain: s
  enableServiceLinks: false
  serviceAccountName: sa
  automountServiceAccountToken: false
  imagePullSecrets: [{name: p}]
  priorityClassName: high
  priority: 1000
  preemptionPolicy: Never
  activeDeadlineSeconds: 60
  os: {name: linux}
  setHostnameAsFQDN: true
  hostPID: true
  hostIPC: true
  hostUsers: true
  shareProcessNamespace: false
  runtimeClassName: vm
  overhead: {cpu: 250m}
  readinessGates: [{conditionType: example.com/gate}]
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, minDomains: 2, labelSelector: {matchLabels: {a: b}}, matchLabelKeys: [c], nodeAffinityPolicy: Honor, nodeTaintsPolicy: Ignore}]
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [b]}]}]}
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchFields: [{key: metadata.name, operator: In, values: [n1]}]}}]
    podAffinity:
      requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {a: b}}, namespaces: [default], matchLabelKeys: [c], mismatchLabelKeys: [d]}]
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {a: b}}, namespaceSelector: {}}}]
  securityContext:
    {runAsUser: 1, runAsGroup: 1, runAsNonRoot: true, supplementalGroups: [2], supplementalGroupsPolicy: Merge, fsGroup: 3, fsGroupChangePolicy: Always, sysctls: [{name: net.ipv4.tcp_syncookies, value: "1"}], seccompProfile: {type: Unconfined}, seLinuxOptions: {level: s0}}
  volumes:
  - {name: e, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: d, downwardAPI: {defaultMode: 0o400, items: [{path: l, fieldRef: {fieldPath: metadata.labels}}, {path: m, mode: 0o400, resourceFieldRef: {containerName: a, resource: limits.memory, divisor: 1Mi}}]}}
  - {name: p, projected: {defaultMode: 0o400, sources: [{configMap: {name: c, items: [{key: k, path: p}]}}, {secret: {name: s, optional: true}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}]}}
  - {name: c, configMap: {name: c, optional: true, defaultMode: 0o400, items: [{key: k, path: p, mode: 0o400}]}}
  - {name: s, secret: {secretName: s, optional: true, defaultMode: 0o400, items: [{key: k, path: p, mode: 0o400}]}}
  - {name: h, hostPath: {path: /etc, type: Directory}}
  initContainers:
  - {name: i, image: a}
  - {name: side, image: a, restartPolicy: Always, startupProbe: {exec: {command: [a]}}}
  containers:
  - name: a
    image: a
    imagePullPolicy: Never
    command: [a]
    args: [b]
    workingDir: /w
    env:
    - {name: A, value: a}
    - {name: B, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: C, valueFrom: {resourceFieldRef: {containerName: a, resource: limits.cpu, divisor: 1m}}}
    - {name: D, valueFrom: {configMapKeyRef: {name: c, key: k, optional: true}}}
    - {name: E, valueFrom: {secretKeyRef: {name: s, key: k, optional: true}}}
    envFrom: [{prefix: P_, configMapRef: {name: c, optional: true}}, {secretRef: {name: s, optional: true}}]
    ports: [{name: http, containerPort: 80, protocol: TCP}]
    resources: {limits: {cpu: 1, memory: 1Mi}, requests: {cpu: 1, memory: 1Mi}}
    volumeMounts:
    - {name: e, mountPath: /e, readOnly: true, subPath: s, mountPropagation: HostToContainer}
    - {name: d, mountPath: /d, subPathExpr: "$(A)"}
    readinessProbe: {httpGet: {path: /, port: http, host: h, scheme: HTTPS, httpHeaders: [{name: a, value: b}]}, initialDelaySeconds: 1, timeoutSeconds: 1, periodSeconds: 1, successThreshold: 2, failureThreshold: 1}
    livenessProbe: {tcpSocket: {port: 80, host: h}, terminationGracePeriodSeconds: 1}
    startupProbe: {grpc: {port: 80, service: s}}
    lifecycle: {stopSignal: SIGUSR1}
    terminationMessagePath: /dev/log
    terminationMessagePolicy: FallbackToLogsOnError
    stdin: true
    stdinOnce: true
    tty: true
    securityContext: {runAsUser: 1, runAsGroup: 1, runAsNonRoot: true, privileged: false, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {add: [NET_ADMIN], drop: [ALL]}, seccompProfile: {type: RuntimeDefault}, procMount: Default}
`
