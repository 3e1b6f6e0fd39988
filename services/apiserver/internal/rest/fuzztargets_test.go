package rest_test

// targets are kinds of different makes, and an object of each.
var targets = []struct{ path, manifest string }{
	{configMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {app: web}}\ndata: {x: z}\nbinaryData: {b: AAEC}\n"},
	{"/api/v1/namespaces/default/secrets", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {x: z}\ntype: Opaque\n"},
	{"/api/v1/namespaces/default/pods", `
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: web}}
spec:
  containers:
  - name: x
    image: i
    command: [sh, -c, "true"]
    env: [{name: A, value: b}, {name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    ports: [{containerPort: 80, protocol: TCP}]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
    readinessProbe: {httpGet: {path: /, port: 80}}
    volumeMounts: [{name: v, mountPath: /v}]
  volumes: [{name: v, emptyDir: {}}]
  tolerations: [{key: a, operator: Exists, effect: NoExecute}]
`},
	{"/api/v1/namespaces/default/services", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  selector: {app: web}\n  ports: [{name: http, port: 80, targetPort: http}, {name: dns, port: 53, protocol: UDP}]\n"},
	{"/api/v1/namespaces/default/serviceaccounts", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n"},
	{"/api/v1/nodes", "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {taints: [{key: a, effect: NoSchedule}]}\n"},
	{"/apis/apps/v1/namespaces/default/deployments", `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  replicas: 2
  selector: {matchLabels: {a: b}}
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 1}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: x, image: i}]}
`},
	{"/apis/apps/v1/namespaces/default/statefulsets", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec:\n  serviceName: a\n  selector: {matchLabels: {a: b}}\n" +
		"  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: x, image: i}]}}\n"},
	{"/apis/batch/v1/namespaces/default/cronjobs", "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec:\n  schedule: '*/5 * * * *'\n" +
		"  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: x, image: i}]}}}}\n"},
	{"/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec:\n  maxReplicas: 3\n" +
		"  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}\n  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]\n"},
	{"/apis/networking.k8s.io/v1/namespaces/default/ingresses", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec:\n" +
		"  rules: [{host: a.b, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]\n"},
	{"/apis/networking.k8s.io/v1/namespaces/default/networkpolicies", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n  podSelector: {}\n" +
		"  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}]\n"},
	{"/apis/policy/v1/namespaces/default/poddisruptionbudgets", "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {minAvailable: 50%, selector: {matchExpressions: [{key: a, operator: In, values: [b]}]}}\n"},
	{"/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n"},
	{"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\n" +
		"endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]\nports: [{name: http, port: 80}]\n"},
	{"/apis/coordination.k8s.io/v1/namespaces/default/leases", "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: a}\nspec: {holderIdentity: x, renewTime: '2026-01-01T00:00:00.000001Z'}\n"},
	{"/api/v1/namespaces/default/persistentvolumeclaims", "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"},
	{"/api/v1/namespaces/default/events", "apiVersion: v1\nkind: Event\nmetadata: {name: a}\ninvolvedObject: {namespace: default, kind: Pod, name: a}\nreason: Pulled\nfirstTimestamp: '2026-01-01T00:00:00Z'\n"},
}
