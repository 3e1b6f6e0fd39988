//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

const (
	limits = `---
{apiVersion: v1, kind: LimitRange, metadata: {name: small}, spec: {limits: [{type: Container, min: {cpu: 50m}, max: {cpu: "2"}, default: {cpu: "1"}, defaultRequest: {cpu: 100m}, maxLimitRequestRatio: {cpu: "20"}}, {type: PersistentVolumeClaim, max: {storage: 1Gi}}]}}
`
	largeClaim = `---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: large}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}}
`
	restricted = `allowPrivilegeEscalation != false \(container "(a|main)" must set securityContext.allowPrivilegeEscalation=false\), ` +
		`unrestricted capabilities \(container "(a|main)" must set securityContext.capabilities.drop=\["ALL"\]\), ` +
		`runAsNonRoot != true \(pod or container "(a|main)" must set securityContext.runAsNonRoot=true\), ` +
		`seccompProfile \(pod or container "(a|main)" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"\)`
)

// testAdmission: what Kubernetes' admission plugins say.
func testAdmission(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "apply -f -", Stdin: limits, Want: `created`},
		{Args: "run given --image=nginx --dry-run=server -o jsonpath={.spec.containers[0].resources}:{.metadata.annotations}", Want: `^\{"limits":\{"cpu":"1"\},"requests":\{"cpu":"100m"\}\}:\{"kubernetes.io/limit-ranger":"LimitRanger plugin set: cpu request for container given; cpu limit for container given"\}$`},
		{Args: `run a --image=nginx --overrides={"spec":{"containers":[{"name":"a","image":"nginx","resources":{"limits":{"cpu":"3"}}}]}}`, Fails: true, Want: `^Error from server \(Forbidden\): pods "a" is forbidden: maximum cpu usage per Container is 2, but limit is 3\n$`},
		{Args: `run a --image=nginx --overrides={"spec":{"containers":[{"name":"a","image":"nginx","resources":{"requests":{"cpu":"10m"}}}]}}`, Fails: true, Want: `^Error from server \(Forbidden\): pods "a" is forbidden: \[minimum cpu usage per Container is 50m, but request is 10m, cpu max limit to request ratio per Container is 20, but provided ratio is 100.000000\]\n$`},
		{Args: "create -f -", Stdin: largeClaim, Fails: true, Want: `persistentvolumeclaims "large" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi\n$`},
		{Args: "delete limitrange small", Want: `deleted`},

		{Args: "create quota small --hard=requests.cpu=1,limits.cpu=2,pods=1,configmaps=2,services.nodeports=0", Want: `created`},
		{Args: "get quota small -o jsonpath={.status.used.pods}", Want: `^0$`, Retry: patience},
		{Args: "run a --image=nginx", Fails: true, Want: `^Error from server \(Forbidden\): pods "a" is forbidden: failed quota: small: must specify limits.cpu for: a; requests.cpu for: a\n$`},
		{Args: `run a --image=nginx --overrides={"spec":{"containers":[{"name":"a","image":"nginx","resources":{"limits":{"cpu":"3"}}}]}}`, Fails: true, Want: `^Error from server \(Forbidden\): pods "a" is forbidden: exceeded quota: small, requested: limits.cpu=3,requests.cpu=3, used: limits.cpu=0,requests.cpu=0, limited: limits.cpu=2,requests.cpu=1\n$`},
		{Args: "create service nodeport n --tcp=80", Fails: true, Want: `services "n" is forbidden: exceeded quota: small, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0\n$`},
		{Args: "create configmap a --from-literal=a=1", Want: `created`},
		{Args: "create configmap b --from-literal=a=1", Fails: true, Want: `configmaps "b" is forbidden: exceeded quota: small, requested: configmaps=1, used: configmaps=2, limited: configmaps=2\n$`},
		{Args: "describe quota small", Want: `(?s)^Name:  small\nNamespace:  $NS\nResource  Used  Hard\n-+  -+  -+\nconfigmaps  2  2\nlimits.cpu  0  2\npods  0  1\nrequests.cpu  0  1\nservices.nodeports  0  0\n`},
		{Args: "describe namespace $NS", Want: `(?s)Status:  Active\n\nResource Quotas\n  Name:  small\n  Resource  Used  Hard\n.*No LimitRange resource.\n`},
		{Args: "delete quota small", Want: `deleted`},

		{Args: `run a --image=nginx --overrides={"spec":{"priorityClassName":"nobody"}}`, Fails: true, Want: `^Error from server \(Forbidden\): pods "a" is forbidden: no PriorityClass with name nobody was found\n$`},
		{Args: `run a --image=nginx --overrides={"spec":{"priority":7}}`, Fails: true, Want: `^Error from server \(Forbidden\): pods "a" is forbidden: the integer value of priority \(7\) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name\n$`},
		{Args: `run a --image=nginx --dry-run=server -o yaml --overrides={"spec":{"priorityClassName":"system-cluster-critical"}}`, Want: `\n  priority: 2000000000\n  priorityClassName: system-cluster-critical\n`},
		{Args: `run a --image=nginx --overrides={"spec":{"serviceAccountName":"nobody"}}`, Fails: true, Want: `^Error from server \(Forbidden\): pods "a" is forbidden: error looking up service account $NS/nobody: serviceaccount "nobody" not found\n$`},

		{Args: "label namespace $NS pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted", Want: `labeled`},
		{Args: "run a --image=nginx", Fails: true, Want: `(?m)^Error from server \(Forbidden\): pods "a" is forbidden: violates PodSecurity "restricted:latest": ` + restricted + `$`},
		{Args: "create -f -", Stdin: webDeployment, Want: `^Warning: would violate PodSecurity "restricted:latest": ` + restricted + `\ndeployment.apps/web created\n$`},
		{Args: "label namespace $NS pod-security.kubernetes.io/enforce=strict --overwrite", Fails: true, Want: `metadata.labels\[pod-security.kubernetes.io/enforce\]: Invalid value: "strict": must be one of privileged, baseline, restricted`},
		{Args: "label namespace $NS pod-security.kubernetes.io/enforce-", Want: `labeled`},
		{Args: "run loud --image=nginx", Want: `^Warning: would violate PodSecurity "restricted:latest": `},
		{Args: "label namespace $NS pod-security.kubernetes.io/enforce=restricted", Want: `(?s)^Warning: existing pods in namespace "$NS" violate the new PodSecurity enforce level "restricted:latest"\nWarning: loud: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile\nnamespace/$NS labeled\n$`},

		{Args: "create namespace $NS-ends", Want: `created`},
		{Args: "-n $NS-ends create -f -", Stdin: "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [example.com/held]}}\n", Want: `created`},
		{Args: "delete namespace $NS-ends --wait=false", Want: `deleted`},
		{Args: "get namespace $NS-ends", Want: `\n$NS-ends  Terminating  \d+s\n`},
		{Args: "-n $NS-ends create configmap a --from-literal=a=1", Fails: true, Want: `configmaps "a" is forbidden: unable to create new content in namespace $NS-ends because it is being terminated\n$`},
		{Args: "get namespace $NS-ends -o jsonpath={.status.conditions[?(@.type==\"NamespaceFinalizersRemaining\")].message}", Want: `^Some content in the namespace has finalizers remaining: example.com/held in 1 resource instances$`, Retry: patience},
		{Args: `-n $NS-ends patch cm held --type=merge -p {"metadata":{"finalizers":null}}`, Want: `patched`},
		{Args: "get namespace $NS-ends", Fails: true, Want: `NotFound`, Retry: patience},
	})
}
