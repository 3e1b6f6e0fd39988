//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

const talker = `---
{apiVersion: v1, kind: Pod, metadata: {name: talker}, spec: {restartPolicy: Never, containers: [{name: main, image: busybox, command: [print, hello]}]}}
`

// testClient: what of kubectl is about itself and what the server is, and what needs
// a running container.
func testClient(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "version", Want: `(?s)Client Version: .*Server Version: .*v1\.\d+\.\d+\+muster`},
		{Args: "version -o json", Want: `"serverVersion": \{\n    "major": "1",\n`},
		{Args: "version --client", Want: `Client Version`},
		{Args: "api-versions", Want: `^(admissionregistration.k8s.io/v1\n)?apps/v1\nauthentication.k8s.io/v1\nauthorization.k8s.io/v1\nautoscaling/v1\nautoscaling/v2\nbatch/v1\ncertificates.k8s.io/v1\ncoordination.k8s.io/v1\ndiscovery.k8s.io/v1\nevents.k8s.io/v1\nnetworking.k8s.io/v1\nnode.k8s.io/v1\npolicy/v1\nrbac.authorization.k8s.io/v1\nscheduling.k8s.io/v1\nstorage.k8s.io/v1\nv1\n$`},
		{Args: "api-resources --api-group=apps", Want: `^NAME  SHORTNAMES  APIVERSION  NAMESPACED  KIND\ncontrollerrevisions  apps/v1  true  ControllerRevision\ndaemonsets  ds  apps/v1  true  DaemonSet\ndeployments  deploy  apps/v1  true  Deployment\nreplicasets  rs  apps/v1  true  ReplicaSet\nstatefulsets  sts  apps/v1  true  StatefulSet\n$`},
		{Args: "api-resources --namespaced=false --verbs=create,list -o name", Want: `(?s)^namespaces\nnodes\npersistentvolumes\n.*storageclasses.storage.k8s.io\n`},
		{Args: "api-resources --categories=all -o name", New: true, Want: `^pods\nreplicationcontrollers\nservices\ndaemonsets.apps\ndeployments.apps\nreplicasets.apps\nstatefulsets.apps\nhorizontalpodautoscalers.autoscaling\ncronjobs.batch\njobs.batch\n$`},
		{Args: "api-resources --api-group=batch -o wide", Want: `(?m)^cronjobs  cj  batch/v1  true  CronJob  (create,delete,deletecollection,get,list,patch,update,watch  all|\[create delete deletecollection get list patch update watch\])`},
		{Args: "cluster-info", Want: `is running at \S*https://127\.0\.0\.1:\d+`},
		{Args: "cluster-info dump --namespaces=$NS", Want: `(?s)^\{\n    "kind": "NodeList",\n.*"kind": "EventList",\n.*"kind": "DeploymentList",\n.*"kind": "PodList",\n`},
		{Args: "completion bash", Want: `bash completion`},
		{Args: "__complete get configmaps ''", New: true, Want: `^kube-root-ca.crt\n:4\n`},
		{Args: "__complete get con", New: true, Want: `(?s)^configmaps\ncontrollerrevisions.apps\n:4\n`},
		{Args: "__complete -n kube-s", New: true, Want: `kube-s`},
		{Args: "config current-context", Want: `^ctl\n$`},
		{Args: "config get-contexts -o name", Want: `^ctl\n$`},
		{Args: "config view --minify -o jsonpath={.contexts[0].context.namespace}", Want: `^$NS\n?$`},
		{Args: "config set-context other --cluster=ctl --user=admin --namespace=default", Want: `^Context "other" created.\n$`},
		{Args: "get services kubernetes --context=other -o name", Want: `^service/kubernetes\n$`},
		{Args: "config use-context nobody", Fails: true, Want: `^error: no context exists with the name: "nobody"`},
		{Args: "config delete-context other", Want: `^deleted context other from `},
		{Args: "options", Want: `The following options can be passed to any command`},
		{Args: "plugin list", Fails: true, Want: `unable to find any kubectl plugins in your PATH`},
		{Args: "alpha", Want: `alpha`},
		{Args: "no-such-command", Fails: true, Want: `unknown command "no-such-command" for "kubectl"`},
		{Args: "get pods --server=https://127.0.0.1:1", Fails: true, Want: `(?m)^The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port\?\n$`},
		{Args: "get pods --request-timeout=1ns", Fails: true, Want: `Client.Timeout|deadline exceeded|request canceled`},

		{Args: "apply -f -", Stdin: talker, Want: `created`},
		{Args: "get pod talker", Want: `\ntalker  0/1  Completed  0  \d+s\n`, Retry: patience},
		{Args: "logs talker", Want: `^hello\n$`},
		{Args: "logs talker -c other", Fails: true, Want: `^error: container other is not valid for pod talker( out of: main)?\n$`},
		{Args: "logs talker --previous", Fails: true, Want: `^Error from server \(BadRequest\): previous terminated container "main" in pod "talker" not found\n$`},
		{Args: "exec talker -- print a", Fails: true, Want: `^error: cannot exec into a container in a completed pod; current phase is Succeeded\n$`},
		{Args: "attach talker", Fails: true, Want: `^error: cannot attach a container in a completed pod; current phase is Succeeded\n$`},
		{Args: "port-forward pod/talker 8080", Fails: true, Want: `^error: unable to forward port because pod is not running. Current status=Succeeded\n$`},
		{Args: "cp talker:/nothing $DIR/nothing", Fails: true, Want: `cannot exec into a container in a completed pod`},
		{Args: "run runs --image=nginx", Want: `created`},
		{Args: "wait --for=condition=Ready pod/runs --timeout=60s", Want: `condition met`},
		{Args: "exec runs -- print inside", Want: `^inside\n$`},
		{Args: "exec runs -- exit 3", Fails: true, Want: `^command terminated with exit code 3\n$`},
		{Args: "debug runs --image=busybox --container=look -- sleep 1", New: true, Want: ``},
		{Args: "get pod runs -o jsonpath={.spec.ephemeralContainers[0].name}:{.spec.ephemeralContainers[0].image}", New: true, Want: `^look:busybox$`},
		{Args: "describe pod runs", Want: `(?s)^Name:  runs\nNamespace:  $NS\nPriority:  0\n.*Node:  node[12]/127.0.0.1\n.*Status:  Running\nIP:  10\.244\..*Containers:\n  runs:\n.*State:  Running\n.*Ready:  True\n.*Conditions:\n.*Ready  True.*QoS Class:  BestEffort\n.*Events:\n.*Started  \S+  kubelet  Started container runs\n`},
		{Args: "describe pod -l run=runs --show-events=false", Want: `(?s)QoS Class:  BestEffort\n.*for 300s\n$`},
		{Args: "describe pod nobody", Fails: true, Want: `^Error from server \(NotFound\): pods "nobody" not found\n$`},
		{Args: "describe configmap kube", Want: `(?s)^Name:  kube-root-ca.crt\n`},
		{Args: "get events --field-selector involvedObject.name=runs,reason=Scheduled -o custom-columns=M:.message --no-headers", Want: `^Successfully assigned $NS/runs to node[12]\n$`},
		{Args: "get events.v1.events.k8s.io --field-selector regarding.name=runs,reason=Scheduled -o jsonpath={.items[0].note}", Want: `^Successfully assigned $NS/runs to node[12]$`},
		{Args: "get events --sort-by=.metadata.creationTimestamp", Want: `^LAST SEEN  TYPE  REASON  OBJECT  MESSAGE\n`},
	})
}
