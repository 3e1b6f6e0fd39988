package registry_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const plainPod = `
metadata: {name: web, namespace: default}
spec:
  containers:
  - {name: web, image: busybox}
`

func TestPodDefaults(t *testing.T) {
	k := kind(t, "pods")
	obj := prepare(k, decode(t, k, `
metadata: {name: web, namespace: default}
spec:
  containers:
  - name: web
    image: jwilder/whoami
    ports: [{containerPort: 8000}]
    resources: {limits: {cpu: 100m, memory: 64Mi}}
    env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
  volumes:
  - {name: scratch}
  - {name: conf, configMap: {name: c}}
`)).(*corev1.Pod)
	got, err := yaml.Marshal(obj.Spec)
	if err != nil {
		t.Fatal(err)
	}
	want := `containers:
- env:
  - name: NODE
    valueFrom:
      fieldRef:
        apiVersion: v1
        fieldPath: spec.nodeName
  image: jwilder/whoami
  imagePullPolicy: Always
  name: web
  ports:
  - containerPort: 8000
    protocol: TCP
  resources:
    limits:
      cpu: 100m
      memory: 64Mi
    requests:
      cpu: 100m
      memory: 64Mi
  terminationMessagePath: /dev/termination-log
  terminationMessagePolicy: File
dnsPolicy: ClusterFirst
enableServiceLinks: true
restartPolicy: Always
schedulerName: default-scheduler
securityContext: {}
serviceAccount: default
serviceAccountName: default
terminationGracePeriodSeconds: 30
tolerations:
- effect: NoExecute
  key: node.kubernetes.io/not-ready
  operator: Exists
  tolerationSeconds: 300
- effect: NoExecute
  key: node.kubernetes.io/unreachable
  operator: Exists
  tolerationSeconds: 300
volumes:
- emptyDir: {}
  name: scratch
- configMap:
    defaultMode: 420
    name: c
  name: conf
`
	if string(got) != want {
		t.Errorf("spec:\n%s\nwant:\n%s", got, want)
	}
	if obj.Generation != 1 || obj.Status.Phase != corev1.PodPending || obj.Status.QOSClass != corev1.PodQOSGuaranteed {
		t.Errorf("generation %d, phase %s, QoS %s; want 1, Pending, Guaranteed", obj.Generation, obj.Status.Phase, obj.Status.QOSClass)
	}
	wantErrors(t, validate(k, obj))
	before := obj.DeepCopy()
	k.Default(obj)
	if again, _ := yaml.Marshal(obj); string(again) != mustYAML(t, before) {
		t.Error("defaulting twice is not defaulting once")
	}
}

func mustYAML(t *testing.T, v any) string {
	t.Helper()
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestImagePullPolicyFollowsTheTag(t *testing.T) {
	k := kind(t, "pods")
	for image, want := range map[string]corev1.PullPolicy{
		"busybox":                               corev1.PullAlways,
		"busybox:latest":                        corev1.PullAlways,
		"localhost:5000/busybox":                corev1.PullAlways,
		"busybox:1.36":                          corev1.PullIfNotPresent,
		"localhost:5000/busybox:1":              corev1.PullIfNotPresent,
		"busybox@sha256:" + zeros(64):           corev1.PullIfNotPresent,
		"busybox:latest@sha256:" + zeros(64):    corev1.PullAlways,
		"registry.example/a/b:v1@sha256:" + "0": corev1.PullIfNotPresent,
	} {
		obj := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
		k.Default(obj)
		if got := obj.Spec.Containers[0].ImagePullPolicy; got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

func TestPodQOS(t *testing.T) {
	k := kind(t, "pods")
	tests := []struct {
		resources string
		want      corev1.PodQOSClass
	}{
		{`{}`, corev1.PodQOSBestEffort},
		{`{requests: {cpu: 100m}}`, corev1.PodQOSBurstable},
		{`{limits: {cpu: 100m}}`, corev1.PodQOSBurstable},
		{`{limits: {cpu: 100m, memory: 1Mi}, requests: {cpu: 50m, memory: 1Mi}}`, corev1.PodQOSBurstable},
		{`{limits: {cpu: 100m, memory: 1Mi}}`, corev1.PodQOSGuaranteed},
		{`{limits: {cpu: "1", memory: 1Mi}, requests: {cpu: 1000m, memory: 1024Ki}}`, corev1.PodQOSGuaranteed},
	}
	for _, tt := range tests {
		obj := prepare(k, decode(t, k, `{spec: {containers: [{name: a, image: a, resources: `+tt.resources+`}]}}`)).(*corev1.Pod)
		if obj.Status.QOSClass != tt.want {
			t.Errorf("%s: %s, want %s", tt.resources, obj.Status.QOSClass, tt.want)
		}
	}
}

func TestPodValidation(t *testing.T) {
	const forbidden = ": Forbidden: not supported by this version of Muster"
	tests := []struct{ name, spec, want string }{
		{"no container", `{}`, `spec.containers: Required value`},
		{"no image", `{containers: [{name: a}]}`, `spec.containers[0].image: Required value`},
		{"no name", `{containers: [{image: a}]}`, `spec.containers[0].name: Required value`},
		{"space around image", `{containers: [{name: a, image: "a "}]}`, `spec.containers[0].image: Invalid value: "a ": must not have leading or trailing whitespace`},
		{"same name twice", `{containers: [{name: a, image: a}, {name: a, image: b}]}`, `spec.containers[1].name: Duplicate value: "a"`},
		{"port out of range", `{containers: [{name: a, image: a, ports: [{containerPort: 70000}]}]}`, `spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`},
		{"no port", `{containers: [{name: a, image: a, ports: [{name: http}]}]}`, `spec.containers[0].ports[0].containerPort: Required value`},
		{"protocol", `{containers: [{name: a, image: a, ports: [{containerPort: 80, protocol: tcp}]}]}`, `spec.containers[0].ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"`},
		{"pull policy", `{containers: [{name: a, image: a, imagePullPolicy: Sometimes}]}`, `spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"`},
		{"restart policy", `{restartPolicy: Sometimes, containers: [{name: a, image: a}]}`, `spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"`},
		{"more requested than allowed", `{containers: [{name: a, image: a, resources: {limits: {cpu: 1}, requests: {cpu: 2}}}]}`, `spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`},
		{"negative limit", `{containers: [{name: a, image: a, resources: {requests: {memory: -1Mi}}}]}`, `spec.containers[0].resources.requests[memory]: Invalid value: "-1Mi": must be greater than or equal to 0`},
		{"device", `{containers: [{name: a, image: a, resources: {limits: {example.com/gpu: 1}, requests: {example.com/gpu: 1}}}]}`, "spec.containers[0].resources.limits[example.com/gpu]" + forbidden + "\nspec.containers[0].resources.requests[example.com/gpu]" + forbidden},
		{"mount of nothing", `{containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v}]}]}`, `spec.containers[0].volumeMounts[0].name: Not found: "v"`},
		{"path mounted twice", `{volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /v}]}]}`, `spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique`},
		{"two sources", `{volumes: [{name: v, emptyDir: {}, secret: {secretName: s}}], containers: [{name: a, image: a}]}`, `spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type`},
		{"backsteps", `{volumes: [{name: v, hostPath: {path: /a/../b}}], containers: [{name: a, image: a}]}`, `spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'`},
		{"mode", `{volumes: [{name: v, configMap: {name: c, defaultMode: 512}}], containers: [{name: a, image: a}]}`, `spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive`},
		{"value and source", `{containers: [{name: a, image: a, env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]}`, `spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when ` + "`value`" + ` is not empty`},
		{"unknown field path", `{containers: [{name: a, image: a, env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.zone}}}]}]}`, `spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.zone": error converting fieldPath: field label not supported: metadata.zone`},
		{"label as variable", `{containers: [{name: a, image: a, env: [{name: A, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}]}]}`, ``},
		{"no nameservers", `{dnsPolicy: None, containers: [{name: a, image: a}]}`, `spec.dnsConfig: Required value: must provide ` + "`dnsConfig` when `dnsPolicy`" + ` is None`},
		{"toleration without key", `{tolerations: [{operator: Equal, effect: NoSchedule}], containers: [{name: a, image: a}]}`, `spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when ` + "`key`" + ` is empty, which means "match all values and all keys"`},
		{"hostname", `{hostname: A_b, containers: [{name: a, image: a}]}`, `spec.hostname: Invalid value: "A_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		{"privileged without escalation", `{containers: [{name: a, image: a, securityContext: {runAsUser: -1}}]}`, `spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive`},

		{"probe without command", `{containers: [{name: a, image: a, readinessProbe: {exec: {command: []}}}]}`, `spec.containers[0].readinessProbe.exec.command: Required value`},
		{"probe without handler", `{containers: [{name: a, image: a, readinessProbe: {}}]}`, `spec.containers[0].readinessProbe: Required value: must specify a handler type`},
		{"two handlers", `{containers: [{name: a, image: a, livenessProbe: {httpGet: {port: 80}, tcpSocket: {port: 80}}}]}`, `spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type`},
		{"probe of port 0", `{containers: [{name: a, image: a, livenessProbe: {tcpSocket: {port: 0}}}]}`, `spec.containers[0].livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive`},
		{"probe by scheme", `{containers: [{name: a, image: a, startupProbe: {httpGet: {port: http, scheme: FTP}}}]}`, `spec.containers[0].startupProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"`},
		{"liveness twice", `{containers: [{name: a, image: a, livenessProbe: {grpc: {port: 1}, successThreshold: 2}}]}`, `spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1`},
		{"readiness does not kill", `{containers: [{name: a, image: a, readinessProbe: {grpc: {port: 1}, terminationGracePeriodSeconds: 2}}]}`, `spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 2: must not be set for readinessProbes`},
		{"probe period", `{containers: [{name: a, image: a, readinessProbe: {grpc: {port: 1}, periodSeconds: -2}}]}`, `spec.containers[0].readinessProbe.periodSeconds: Invalid value: -2: must be greater than or equal to 0`},
		{"probe of init", `{initContainers: [{name: i, image: a, readinessProbe: {grpc: {port: 1}}}], containers: [{name: a, image: a}]}`, `spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always`},
		{"lifecycle", `{containers: [{name: a, image: a, lifecycle: {preStop: {exec: {command: [a]}}}}]}`, "spec.containers[0].lifecycle.preStop" + forbidden},
		{"stop signal", `{containers: [{name: a, image: a, lifecycle: {stopSignal: SIGUSR1}}]}`, "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`"},
		{"sidecar policy", `{initContainers: [{name: i, image: a, restartPolicy: Never}], containers: [{name: a, image: a}]}`, `spec.initContainers[0].restartPolicy: Unsupported value: "Never": supported values: "Always"`},
		{"restart of one", `{containers: [{name: a, image: a, restartPolicy: Always}]}`, "spec.containers[0].restartPolicy" + forbidden},
		{"host port", `{containers: [{name: a, image: a, ports: [{containerPort: 80, hostPort: 80}]}]}`, "spec.containers[0].ports[0].hostPort" + forbidden},
		{"host network", `{hostNetwork: true, containers: [{name: a, image: a, ports: [{containerPort: 80}]}]}`, ``},
		{"subPath", `{volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v, subPath: ../s}]}]}`, `spec.containers[0].volumeMounts[0].subPath: Invalid value: "../s": must not contain '..'`},
		{"mounts passed on", `{volumes: [{name: v}], containers: [{name: a, image: a, volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]}]}`, `spec.containers[0].volumeMounts[0].mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`},
		{"claim", `{volumes: [{name: v, persistentVolumeClaim: {claimName: c}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].persistentVolumeClaim" + forbidden},
		{"downward API", `{volumes: [{name: v, downwardAPI: {items: [{path: p, fieldRef: {fieldPath: status.podIP}}]}}], containers: [{name: a, image: a}]}`, `spec.volumes[0].downwardAPI.items[0].fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"`},
		{"token", `{volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].projected.sources[0].serviceAccountToken" + forbidden},
		{"empty affinity", `{affinity: {}, containers: [{name: a, image: a}]}`, ``},
		{"no terms", `{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}, containers: [{name: a, image: a}]}`, `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term`},
		{"node operator", `{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {matchExpressions: [{key: a, operator: In}]}}]}}, containers: [{name: a, image: a}]}`, "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100\nspec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"},
		{"no place", `{affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{labelSelector: {matchLabels: {a: b}}}]}}, containers: [{name: a, image: a}]}`, `spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty`},
		{"some namespaces", `{affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a, namespaceSelector: {matchLabels: {a: b}}}]}}, containers: [{name: a, image: a}]}`, "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaceSelector" + forbidden + ", but for {}"},
		{"skew", `{topologySpreadConstraints: [{maxSkew: 0, topologyKey: a, whenUnsatisfiable: Never}], containers: [{name: a, image: a}]}`, "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero\nspec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Never\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\""},
		{"deadline", `{activeDeadlineSeconds: 0, containers: [{name: a, image: a}]}`, `spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive`},
		{"sysctl", `{securityContext: {sysctls: [{name: vm.swappiness, value: "1"}]}, containers: [{name: a, image: a}]}`, `spec.securityContext.sysctls[0].name: Forbidden: forbidden sysctl: "vm.swappiness" not allowlisted`},
		{"seccomp", `{securityContext: {seccompProfile: {type: Localhost, localhostProfile: a}}, containers: [{name: a, image: a}]}`, "spec.securityContext.seccompProfile.localhostProfile" + forbidden + "\nspec.securityContext.seccompProfile.type" + forbidden},
		{"priority", `{priority: 5, containers: [{name: a, image: a}]}`, "spec.priority" + forbidden},
		{"owner of files", `{volumes: [{name: v, configMap: {name: c, defaultUser: 1}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].configMap.defaultUser" + forbidden},
		{"size of a directory", `{volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}], containers: [{name: a, image: a}]}`, "spec.volumes[0].emptyDir.sizeLimit" + forbidden + ", but for medium Memory"},
		{"all that is honoured", everything, ""},
	}
	k := kind(t, "pods")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			obj := prepare(k, decode(t, k, "metadata: {name: web, namespace: default}\nspec: "+tt.spec))
			var want []string
			if tt.want != "" {
				want = strings.Split(tt.want, "\n")
			}
			wantErrors(t, validate(k, obj), want...)
		})
	}
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
  priority: 0
  preemptionPolicy: Never
  activeDeadlineSeconds: 60
  os: {name: linux}
  setHostnameAsFQDN: true
  hostPID: true
  hostIPC: true
  hostUsers: true
  shareProcessNamespace: false
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
    {runAsUser: 1, runAsGroup: 1, runAsNonRoot: true, supplementalGroups: [2], supplementalGroupsPolicy: Merge, fsGroup: 3, fsGroupChangePolicy: Always, sysctls: [{name: net.ipv4.tcp_syncookies, value: "1"}], seccompProfile: {type: Unconfined}}
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

func TestPodUpdate(t *testing.T) {
	k := kind(t, "pods")
	old := prepare(k, decode(t, k, plainPod)).(*corev1.Pod)
	change := func(f func(*corev1.Pod)) *corev1.Pod {
		obj := old.DeepCopy()
		f(obj)
		return prepareChange(k, obj, old).(*corev1.Pod)
	}

	image := change(func(p *corev1.Pod) { p.Spec.Containers[0].Image = "busybox:1" })
	wantErrors(t, validateChange(k, image, old))
	if image.Generation != 2 {
		t.Errorf("generation %d after a new image, want 2", image.Generation)
	}
	label := change(func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"}; p.Status.Phase = corev1.PodRunning })
	wantErrors(t, validateChange(k, label, old))
	if label.Generation != 1 || label.Status.Phase != corev1.PodPending {
		t.Errorf("generation %d, phase %s after a new label, want 1, Pending", label.Generation, label.Status.Phase)
	}
	more := change(func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b", Image: "b"})
	})
	wantErrors(t, validateChange(k, more, old), "spec.containers: Forbidden: pod updates may not add or remove containers")

	errs := validateChange(k, change(func(p *corev1.Pod) { p.Spec.Hostname = "other" }), old)
	want := "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
	if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) {
		t.Errorf("got %v, want it to begin with %s", errs, want)
	}
}

func TestPodDeadlineIsOnlyShortened(t *testing.T) {
	k := kind(t, "pods")
	seconds := func(n int64) *corev1.Pod {
		obj := prepare(k, decode(t, k, plainPod)).(*corev1.Pod)
		if n > 0 {
			obj.Spec.ActiveDeadlineSeconds = &n
		}
		return obj
	}
	wantErrors(t, validateChange(k, seconds(5), seconds(0)))
	wantErrors(t, validateChange(k, seconds(4), seconds(5)))
	wantErrors(t, validateChange(k, seconds(6), seconds(5)), "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value")
	wantErrors(t, validateChange(k, seconds(0), seconds(5)), "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value")
}

func TestProbeDefaults(t *testing.T) {
	k := kind(t, "pods")
	obj := prepare(k, decode(t, k, `{spec: {containers: [{name: a, image: a, readinessProbe: {httpGet: {port: 80}}, livenessProbe: {grpc: {port: 1}, periodSeconds: 2}}]}}`)).(*corev1.Pod)
	got, err := yaml.Marshal([]*corev1.Probe{obj.Spec.Containers[0].ReadinessProbe, obj.Spec.Containers[0].LivenessProbe})
	if err != nil {
		t.Fatal(err)
	}
	want := `- failureThreshold: 3
  httpGet:
    path: /
    port: 80
    scheme: HTTP
  periodSeconds: 10
  successThreshold: 1
  timeoutSeconds: 1
- failureThreshold: 3
  grpc:
    port: 1
    service: ""
  periodSeconds: 2
  successThreshold: 1
  timeoutSeconds: 1
`
	if string(got) != want {
		t.Errorf("probes:\n%s\nwant:\n%s", got, want)
	}
}

func TestPodGracePeriod(t *testing.T) {
	k := kind(t, "pods")
	five, minus := int64(5), int64(-3)
	tests := []struct {
		name, pod string
		requested *int64
		want      int64
	}{
		{"its own", `{spec: {nodeName: n1, terminationGracePeriodSeconds: 30}}`, nil, 30},
		{"requested", `{spec: {nodeName: n1, terminationGracePeriodSeconds: 30}}`, &five, 5},
		{"not bound", `{spec: {terminationGracePeriodSeconds: 30}}`, &five, 0},
		{"has ended", `{spec: {nodeName: n1, terminationGracePeriodSeconds: 30}, status: {phase: Succeeded}}`, &five, 0},
		{"negative", `{spec: {nodeName: n1, terminationGracePeriodSeconds: 30}}`, &minus, 1},
	}
	for _, tt := range tests {
		if got := k.GracePeriod(decode(t, k, tt.pod), tt.requested); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestPodStatusUpdate(t *testing.T) {
	k := kind(t, "pods")
	old := prepare(k, decode(t, k, plainPod)).(*corev1.Pod)
	obj := old.DeepCopy()
	obj.Spec.Hostname = "other"
	obj.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.244.0.2", HostIPs: []corev1.HostIP{{IP: "192.0.2.1"}}}
	k.PrepareStatusUpdate(obj, old)
	wantErrors(t, k.ValidateStatusUpdate(obj, old))
	s := obj.Status
	if obj.Spec.Hostname != "" || s.QOSClass != corev1.PodQOSBestEffort || len(s.PodIPs) != 1 || s.PodIPs[0].IP != "10.244.0.2" || s.HostIP != "192.0.2.1" {
		t.Errorf("hostname %q, status %+v", obj.Spec.Hostname, s)
	}
}

func TestEndedContainersStayEnded(t *testing.T) {
	k := kind(t, "pods")
	const container = `{spec: {restartPolicy: OnFailure}, status: {containerStatuses: [{name: a, state: `
	old := decode(t, k, container+`{terminated: {exitCode: 0}}}]}}`)
	obj := decode(t, k, container+`{running: {}}}]}}`)
	wantErrors(t, k.ValidateStatusUpdate(obj, old), "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state")
	wantErrors(t, k.ValidateStatusUpdate(obj, decode(t, k, container+`{terminated: {exitCode: 1}}}]}}`)))
}

func TestPodWarnings(t *testing.T) {
	k := kind(t, "pods")
	obj := prepare(k, decode(t, k, `
metadata: {name: web, namespace: default}
spec:
  terminationGracePeriodSeconds: -1
  containers:
  - name: a
    image: a
    env: [{name: A, value: a}, {name: A, value: b}, {name: A, value: "$(A)c"}]
    ports: [{containerPort: 80}, {name: again, containerPort: 80}]
    resources: {limits: {memory: 100m}}
`))
	want := []string{
		`spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply`,
		`spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer`,
		`spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer`,
		`spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]`,
		`spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
	}
	if got := k.Warnings(obj); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := k.Warnings(prepare(k, decode(t, k, plainPod))); len(got) > 0 {
		t.Errorf("a plain pod is warned of %q", got)
	}
}

func TestBinding(t *testing.T) {
	k := kind(t, "pods")
	sub, ok := k.Subresource("binding")
	if !ok || !sub.Direct {
		t.Fatal("no direct binding subresource")
	}
	pod := prepare(k, decode(t, k, plainPod)).(*corev1.Pod)
	to := func(node string) *corev1.Binding {
		return &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	}
	if err := sub.Apply(pod, to("n1")); err != nil {
		t.Fatal(err)
	}
	if pod.Spec.NodeName != "n1" || len(pod.Status.Conditions) != 1 || pod.Status.Conditions[0].Status != corev1.ConditionTrue {
		t.Errorf("after the binding: node %q, conditions %v", pod.Spec.NodeName, pod.Status.Conditions)
	}
	want := `Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "n1"`
	if err := sub.Apply(pod, to("n2")); err == nil || err.Error() != want {
		t.Errorf("second binding: %v, want %s", err, want)
	}
}

var _ registry.Object = (*corev1.Binding)(nil)
