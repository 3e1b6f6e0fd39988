package pod_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

// sparsePod says as little as manifests do, and defaultedSpec what becomes of its
// spec.
const sparsePod = `
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
`

const defaultedSpec = `containers:
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

func TestPodDefaults(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, sparsePod)).(*corev1.Pod)
	got, err := yaml.Marshal(obj.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != defaultedSpec {
		t.Errorf("spec:\n%s\nwant:\n%s", got, defaultedSpec)
	}
	if obj.Generation != 1 || obj.Status.Phase != corev1.PodPending || obj.Status.QOSClass != corev1.PodQOSGuaranteed {
		t.Errorf("generation %d, phase %s, QoS %s; want 1, Pending, Guaranteed", obj.Generation, obj.Status.Phase, obj.Status.QOSClass)
	}
	kindtest.WantErrors(t, kindtest.Validate(k, obj))
	before := obj.DeepCopy()
	k.Default(obj)
	if again, _ := yaml.Marshal(obj); string(again) != kindtest.YAML(t, before) {
		t.Error("defaulting twice is not defaulting once")
	}
}

func TestImagePullPolicyFollowsTheTag(t *testing.T) {
	k := kindtest.Kind(t, "pods")
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
	k := kindtest.Kind(t, "pods")
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
		obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{spec: {containers: [{name: a, image: a, resources: `+tt.resources+`}]}}`)).(*corev1.Pod)
		if obj.Status.QOSClass != tt.want {
			t.Errorf("%s: %s, want %s", tt.resources, obj.Status.QOSClass, tt.want)
		}
	}
}

func TestProbeDefaults(t *testing.T) {
	k := kindtest.Kind(t, "pods")
	obj := kindtest.Prepare(k, kindtest.Decode(t, k, `{spec: {containers: [{name: a, image: a, readinessProbe: {httpGet: {port: 80}}, livenessProbe: {grpc: {port: 1}, periodSeconds: 2}}]}}`)).(*corev1.Pod)
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
	k := kindtest.Kind(t, "pods")
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
		if got := k.GracePeriod(kindtest.Decode(t, k, tt.pod), tt.requested); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
