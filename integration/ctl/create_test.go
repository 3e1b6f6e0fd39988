//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// testCreate: every generator of kubectl create, and what is stored of it. Kubectl
// 1.20 asks for versions of CronJob and PodDisruptionBudget that Kubernetes has
// served until 1.24.
func testCreate(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "create configmap one --from-literal=a=1 --from-literal=b=2", Want: `^configmap/one created\n$`},
		{Args: "create configmap hashed --from-literal=a=1 --append-hash -o name", Want: `^configmap/hashed-[a-z0-9]{10}\n$`},
		{Args: "create configmap file --from-file=$DIR/kubeconfig", Want: `created`},
		{Args: "get configmap file -o jsonpath={.data.kubeconfig}", Want: `^apiVersion: v1\nkind: Config\n`},
		{Args: "create configmap dry --from-literal=a=1 --dry-run=client -o yaml", Want: `^apiVersion: v1\ndata:\n  a: "1"\nkind: ConfigMap\nmetadata:\n(  creationTimestamp: null\n)?  name: dry\n`},
		{Args: "create configmap dry --from-literal=a=1 --dry-run=server -o jsonpath={.metadata.namespace}:{.data.a}", Want: `^$NS:1$`},
		{Args: "get configmap dry", Fails: true, Want: `NotFound`},

		{Args: "create secret generic plain --from-literal=a=1", Want: `^secret/plain created\n$`},
		{Args: "get secret plain -o jsonpath={.type}:{.data.a}", Want: `^Opaque:MQ==$`},
		{Args: "create secret generic typed --type=example.com/kind --from-literal=a=1 -o jsonpath={.type}", Want: `^example.com/kind$`},
		{Args: "create secret docker-registry registry --docker-server=r.example.com --docker-username=u --docker-password=p --docker-email=e@example.com", Want: `^secret/registry created\n$`},
		{Args: "get secret registry", Want: `\nregistry  kubernetes.io/dockerconfigjson  1  \d+s\n`},
		{Args: "create secret tls pair --cert=$CERT --key=$KEY", Want: `^secret/pair created\n$`},
		{Args: "get secret pair", Want: `\npair  kubernetes.io/tls  2  \d+s\n`},
		{Args: "create secret generic broken --type=kubernetes.io/tls --from-literal=a=1", Fails: true, Want: `(?s)data\[tls.crt\]: Required value.*data\[tls.key\]: Required value`},
		{Args: "create secret generic nodocker --type=kubernetes.io/dockerconfigjson --from-literal=a=1", Fails: true, Want: `data\[.dockerconfigjson\]: Required value`},
		{Args: "create secret generic nobasic --type=kubernetes.io/basic-auth --from-literal=a=1", Fails: true, Want: `(?s)data\[(%s|username)\]: Required value.*data\[(%s|password)\]: Required value`},

		{Args: "create namespace $NS-new", Want: `^namespace/$NS-new created\n$`},
		{Args: "get namespace $NS-new --show-labels", Want: `\n$NS-new  Active  \d+s  kubernetes.io/metadata.name=$NS-new\n`},
		{Args: "get serviceaccounts,configmaps -n $NS-new -o name", Want: `^serviceaccount/default\nconfigmap/kube-root-ca.crt\n$`},

		{Args: "create deployment web --image=nginx --replicas=0 --port=80", Want: `^deployment.apps/web created\n$`},
		{Args: "get deployment web -o jsonpath={.spec.selector.matchLabels.app}:{.spec.template.spec.containers[0].name}:{.spec.template.spec.containers[0].ports[0].containerPort}:{.spec.strategy.rollingUpdate.maxSurge}:{.spec.revisionHistoryLimit}:{.spec.progressDeadlineSeconds}", Want: `^web:nginx:80:25%:10:600$`},
		{Args: "create deployment two --image=nginx --image=busybox --replicas=0 -o jsonpath={.spec.template.spec.containers[*].name}", Want: `^nginx busybox$`},
		{Args: "create job pi --image=busybox -- sleep 1", Want: `^job.batch/pi created\n$`},
		{Args: "get job pi -o jsonpath={.spec.backoffLimit}:{.spec.completions}:{.spec.parallelism}:{.spec.completionMode}:{.spec.template.spec.restartPolicy}:{.spec.template.spec.containers[0].command}", Want: `^6:1:1:NonIndexed:Never:\["sleep","1"\]$`},
		{Args: `create cronjob nightly --image=busybox '--schedule=0 3 * * *' -- date`, Want: `^cronjob.batch/nightly created\n$`, Old: `^error: failed to create cronjob: the server could not find the requested resource\n$`, OldFails: true},
		{Args: "create job now --from=cronjob/nightly", New: true, Want: `^job.batch/now created\n$`},
		{Args: "get job now -o jsonpath={.metadata.ownerReferences[0].kind}:{.metadata.annotations}", New: true, Want: `^CronJob:\{"cronjob.kubernetes.io/instantiate":"manual"\}$`},

		{Args: "create service clusterip internal --tcp=80:8080", Want: `^service/internal created\n$`},
		{Args: "get service internal -o jsonpath={.spec.type}:{.spec.ports[0].name}:{.spec.ports[0].targetPort}:{.spec.selector.app}:{.spec.internalTrafficPolicy}:{.spec.ipFamilies[0]}:{.spec.sessionAffinity}", Want: `^ClusterIP:80-8080:8080:internal:Cluster:IPv4:None$`},
		{Args: "create service clusterip headless --clusterip=None --tcp=80 -o jsonpath={.spec.clusterIP}", Want: `^None$`},
		{Args: "create service nodeport outer --tcp=80", Want: `^service/outer created\n$`},
		{Args: "get service outer", Want: `\nouter  NodePort  10\.\d+\.\d+\.\d+  <none>  80:3\d{4}/TCP  \d+s\n`},
		{Args: "create service externalname elsewhere --external-name=example.com", Want: `^service/elsewhere created\n$`},
		{Args: "get service elsewhere", Want: `\nelsewhere  ExternalName  <none>  example.com  <none>  \d+s\n`},
		{Args: "create service loadbalancer balanced --tcp=80", Want: `^service/balanced created\n$`},
		{Args: "get service balanced", Want: `\nbalanced  LoadBalancer  10\.\d+\.\d+\.\d+  <pending>  80:3\d{4}/TCP  \d+s\n`},
		{Args: "create service clusterip taken --clusterip=10.96.0.1 --tcp=80", Fails: true, Want: `spec.clusterIPs: Invalid value: \["10.96.0.1"\]: failed to allocate IP 10.96.0.1: provided IP is already allocated`},
		{Args: "create service clusterip outside --clusterip=192.0.2.1 --tcp=80", Fails: true, Want: `spec.clusterIPs: Invalid value: \["192.0.2.1"\]: failed to allocate IP 192.0.2.1: the provided IP \(192.0.2.1\) is not in the valid range. The range of valid IPs is 10.96.0.0/12`},
		{Args: "create service nodeport low --node-port=80 --tcp=80", Fails: true, Want: `spec.ports\[0\].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767`},

		{Args: "create serviceaccount robot", Want: `^serviceaccount/robot created\n$`},
		{Args: "create token robot --duration=1h", New: true, Want: `^eyJ[^.]+\.[^.]+\.[^.]+$`},
		{Args: "create token robot --duration=1m", New: true, Fails: true, Want: `spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes`},
		{Args: "create token nobody", New: true, Fails: true, Want: `^error: failed to create token: serviceaccounts "nobody" not found\n$`},
		{Args: "create role reader --verb=get,list --resource=pods,deployments.apps --resource-name=one", Want: `^role.rbac.authorization.k8s.io/reader created\n$`},
		{Args: "describe role reader", Want: `(?s)Resources  Non-Resource URLs  Resource Names  Verbs\n.*  pods  \[\]  \[one\]  \[get list\]\n  deployments.apps  \[\]  \[one\]  \[get list\]\n`},
		{Args: "create role odd --verb=get --resource=nonsense", Fails: true, Want: `the server doesn't have a resource type "nonsense"`},
		{Args: "create rolebinding readers --role=reader --user=jane --group=devs --serviceaccount=$NS:robot", Want: `^rolebinding.rbac.authorization.k8s.io/readers created\n$`},
		{Args: "get rolebinding readers -o wide", Want: `\nreaders  Role/reader  \d+s  jane  devs  $NS/robot\n`},
		{Args: "create clusterrole $NS --verb=get --non-resource-url=/logs/*", Want: `^clusterrole.rbac.authorization.k8s.io/$NS created\n$`},
		{Args: "create clusterrole $NS-all --aggregation-rule=app=$NS", Want: `created`},
		{Args: "create clusterrolebinding $NS --clusterrole=$NS --user=jane", Want: `^clusterrolebinding.rbac.authorization.k8s.io/$NS created\n$`},
		{Args: "create quota small --hard=pods=2,configmaps=20,count/deployments.apps=2", Want: `^resourcequota/small created\n$`},
		{Args: "get quota small", Want: `\nsmall  (\d+s  )?configmaps: 4/20, count/deployments.apps: 2/2, pods: \d/2  (\d+s)?\n`, Retry: patience},
		{Args: "create deployment third --image=nginx", Fails: true, Want: `deployments.apps "third" is forbidden: exceeded quota: small, requested: count/deployments.apps=1, used: count/deployments.apps=2, limited: count/deployments.apps=2`},
		{Args: "create poddisruptionbudget guard --selector=app=web --min-available=1", Want: `^poddisruptionbudget.policy/guard created\n$`, Old: `no matches for kind "PodDisruptionBudget" in version "policy/v1beta1"`, OldFails: true},
		{Args: "create priorityclass $NS --value=7 --description=high", Want: `^priorityclass.scheduling.k8s.io/$NS created\n$`},
		{Args: "create priorityclass system-mine --value=7", Fails: true, Want: `metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only`},
		{Args: "create ingress door --class=none --rule=a.example.com/*=internal:80,tls=pair", Want: `^ingress.networking.k8s.io/door created\n$`},
		{Args: "get ingress door", Want: `\ndoor  none  a.example.com  80, 443  \d+s\n`},
	})
}
