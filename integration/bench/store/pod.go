package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// podsPerSet and podsPerNode are how pods share what they are made from and
	// where they run.
	podsPerSet, podsPerNode = 20, 50
	services                = "services" // the namespace of the pods
)

// began is when the first pod was made.
var began = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// pod returns pod i of many as it is stored once it runs: made by a ReplicaSet
// from a template with the fields that a service of some care has, defaulted,
// bound, and with the status that a node reports.
func pod(namespace string, i int) *corev1.Pod {
	set := i / podsPerSet
	app := fmt.Sprintf("service-%d", set)
	hash := random("set", set)[:10]
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%s-%07d", app, hash, i), GenerateName: app + "-" + hash + "-", Namespace: namespace,
			UID: uid("pod", i), CreationTimestamp: metav1.NewTime(began.Add(time.Duration(i) * time.Second)),
			Labels: map[string]string{
				"app.kubernetes.io/name": app, "app.kubernetes.io/version": "1.4.2", "app.kubernetes.io/part-of": "shop",
				"pod-template-hash": hash,
			},
			Annotations: map[string]string{
				"checksum/config":    random("config", set),
				"prometheus.io/port": "9090", "prometheus.io/scrape": "true",
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app + "-" + hash, UID: uid("set", set),
				Controller: ptr(true), BlockOwnerDeletion: ptr(true),
			}},
		},
		Spec:   podSpec(app, i),
		Status: podStatus(app, i),
	}
}

func podSpec(app string, i int) corev1.PodSpec {
	seconds := ptr(int64(300))
	return corev1.PodSpec{
		Containers: []corev1.Container{container(app)},
		Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: app}, DefaultMode: ptr(int32(0o644)),
		}}}},
		NodeName: node(i), ServiceAccountName: "default", DeprecatedServiceAccount: "default",
		RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: ptr(int64(30)), DNSPolicy: corev1.DNSClusterFirst,
		SchedulerName: "default-scheduler", SecurityContext: &corev1.PodSecurityContext{}, EnableServiceLinks: ptr(true),
		PreemptionPolicy: ptr(corev1.PreemptLowerPriority), Priority: ptr(int32(0)),
		Tolerations: []corev1.Toleration{
			{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: seconds},
			{Key: "node.kubernetes.io/unreachable", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: seconds},
		},
	}
}

func container(app string) corev1.Container {
	probe := func(path string) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler:   corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http"), Scheme: corev1.URISchemeHTTP}},
			TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3,
		}
	}
	return corev1.Container{
		Name: app, Image: "registry.example.com/shop/" + app + ":1.4.2", ImagePullPolicy: corev1.PullIfNotPresent,
		Args:  []string{"--config=/etc/service/config.yaml", "--listen=:8080"},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}, {Name: "metrics", ContainerPort: 9090, Protocol: corev1.ProtocolTCP}},
		Env: []corev1.EnvVar{
			{Name: "LOG_LEVEL", Value: "info"},
			{Name: "DATABASE_URL", Value: "postgres://" + app + ".databases.svc.cluster.local:5432/" + app},
			{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: "http://collector.observability.svc.cluster.local:4317"},
			{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}},
			{Name: "DATABASE_PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: app}, Key: "password",
			}}},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{"memory": resource.MustParse("256Mi")},
		},
		VolumeMounts:  []corev1.VolumeMount{{Name: "config", MountPath: "/etc/service", ReadOnly: true}},
		LivenessProbe: probe("/healthz"), ReadinessProbe: probe("/readyz"),
		TerminationMessagePath: corev1.TerminationMessagePathDefault, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
}

func podStatus(app string, i int) corev1.PodStatus {
	at := func(after int) metav1.Time { return metav1.NewTime(began.Add(time.Duration(i+after) * time.Second)) }
	var conditions []corev1.PodCondition
	for after, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.PodReadyToStartContainers, corev1.ContainersReady, corev1.PodReady} {
		conditions = append(conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: at(after)})
	}
	ip := fmt.Sprintf("10.%d.%d.%d", 64+i>>16&63, i>>8&255, i&255)
	host := fmt.Sprintf("192.168.%d.%d", i/podsPerNode>>8&255, i/podsPerNode&255)
	return corev1.PodStatus{
		Phase: corev1.PodRunning, Conditions: conditions, HostIP: host, HostIPs: []corev1.HostIP{{IP: host}},
		PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: ptr(at(0)), QOSClass: corev1.PodQOSBurstable,
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: app, Ready: true, Started: ptr(true), Image: "registry.example.com/shop/" + app + ":1.4.2",
			ImageID:     "registry.example.com/shop/" + app + "@sha256:" + random("image", i/podsPerSet),
			ContainerID: "containerd://" + random("container", i),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(3)}},
		}},
	}
}

func node(i int) string { return fmt.Sprintf("node-%04d", i/podsPerNode) }

func ptr[T any](v T) *T { return &v }

// random returns 64 digits that do not compress to less than their half.
func random(what string, i int) string {
	sum := sha256.Sum256(fmt.Append(nil, what, i))
	return hex.EncodeToString(sum[:])
}

func uid(what string, i int) types.UID {
	r := random("uid of "+what, i)
	return types.UID(r[:8] + "-" + r[8:12] + "-4" + r[13:16] + "-9" + r[17:20] + "-" + r[20:32])
}
