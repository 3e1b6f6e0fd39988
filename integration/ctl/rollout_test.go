//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

const (
	guarded = `---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: guarded}, spec: {replicas: 1, selector: {matchLabels: {app: guarded}}, template: {metadata: {labels: {app: guarded}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: nginx}]}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: guarded}, spec: {minAvailable: 1, selector: {matchLabels: {app: guarded}}}}
`
	sts = `---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: set}, spec: {serviceName: set, replicas: 0, selector: {matchLabels: {app: set}}, template: {metadata: {labels: {app: set}}, spec: {containers: [{name: main, image: nginx}]}}}}
`
)

// testRollout: a deployment's revisions, and what is waited for.
func testRollout(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "create deployment web --image=nginx --replicas=2", Want: `created`},
		{Args: "rollout status deployment/web --timeout=60s", Want: `deployment "web" successfully rolled out\n$`},
		{Args: "wait --for=condition=Available deployment/web --timeout=60s", Want: `^deployment.apps/web condition met\n$`},
		{Args: "wait --for=condition=Ready pod -l app=web --timeout=60s", Want: `^pod/web-\S+ condition met\npod/web-\S+ condition met\n$`},
		{Args: "wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=60s", New: true, Want: `^deployment.apps/web condition met\n$`},
		{Args: "wait --for=create deployment/web --timeout=5s", New: true, Want: `^deployment.apps/web condition met\n$`},
		{Args: "get deployments", Want: `^NAME  READY  UP-TO-DATE  AVAILABLE  AGE\nweb  2/2  2  2  \d+s\n$`},
		{Args: "get pods -o wide", Want: `^NAME  READY  STATUS  RESTARTS  AGE  IP  NODE  NOMINATED NODE  READINESS GATES\n(web-\S+  1/1  Running  0  \d+s  10\.244\.\d+\.\d+  node[12]  <none>  <none> *\n){2}$`},
		{Args: "get all", Want: `(?s)^NAME .*\npod/web-.*\nNAME .*\ndeployment.apps/web  2/2 .*\nNAME .*\nreplicaset.apps/web-\S+  2  2  2  `},
		{Args: "rollout history deployment/web", Want: `^deployment.apps/web \nREVISION  CHANGE-CAUSE\n1  <none>\n\n$`},
		{Args: "rollout pause deployment/web", Want: `^deployment.apps/web paused\n$`},
		{Args: "rollout pause deployment/web", Fails: true, Want: `^error: deployments.apps "web" is already paused\n$`},
		{Args: "rollout undo deployment/web", Fails: true, Want: `^error: no rollout history found for deployment "web"\n$`},
		{Args: "rollout restart deployment/web", Fails: true, Want: `can't restart paused deployment \(run rollout resume first\)`},
		{Args: "rollout resume deployment/web", Want: `^deployment.apps/web resumed\n$`},
		{Args: "rollout resume deployment/web", Fails: true, Want: `^error: deployments.apps "web" is not paused\n$`},
		{Args: "set image deployment/web nginx=busybox", Want: `image updated`},
		{Args: "annotate deployment web kubernetes.io/change-cause=other", Want: `annotated`},
		{Args: "rollout status deployment web --timeout=60s", Want: `successfully rolled out`},
		{Args: "rollout history deployment/web", Want: `^deployment.apps/web \nREVISION  CHANGE-CAUSE\n1  <none>\n2  other\n\n$`},
		{Args: "rollout history deployment/web --revision=2", Want: `(?s)^deployment.apps/web with revision #2\nPod Template:\n.*Image:\s+busybox\n`},
		{Args: "rollout history deployment/web --revision=9", Fails: true, Want: `unable to find the specified revision`},
		{Args: "rollout undo deployment/web --dry-run=client", Want: `(?s)Pod Template:.*Image:\s+nginx`},
		{Args: "rollout undo deployment/web --to-revision=1", Want: `^deployment.apps/web rolled back\n$`},
		{Args: "rollout undo deployment/web --to-revision=9", Fails: true, Want: `^error: unable to find specified revision 9 in history\n$`},
		{Args: "rollout status deployment web --timeout=60s", Want: `successfully rolled out`},
		{Args: "rollout restart deployment/web", Want: `^deployment.apps/web restarted\n$`},
		{Args: "rollout status deployment web --timeout=60s", Want: `successfully rolled out`},
		{Args: "get deployment web -o jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}:{.spec.template.spec.containers[0].image}", Want: `^4:nginx$`},
		{Args: "rollout status deployment/nobody", Fails: true, Want: `^Error from server \(NotFound\): deployments.apps "nobody" not found\n$`},
		{Args: "rollout status configmap/kube-root-ca.crt", Fails: true, Want: `^error: no status viewer has been implemented for ConfigMap\n$`, Old: `^error: no status viewer has been implemented for \{ ConfigMap\}\n$|^error: no status viewer has been implemented for ConfigMap\n$`},
		{Args: "apply -f -", Stdin: sts, Want: `created`},
		{Args: "rollout restart statefulset set", Want: `^statefulset.apps/set restarted\n$`},
		{Args: "rollout history statefulset set", Want: `^statefulset.apps/set \nNo rollout history found.\n`},
		{Args: "describe deployment web", Want: `(?s)Replicas:  2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable\n.*Available  True  MinimumReplicasAvailable\n.*Progressing  True  NewReplicaSetAvailable\n.*Events:.*ScalingReplicaSet.*Scaled up replica set web-\S+ from 0 to 2`},
		{Args: "get events --field-selector involvedObject.kind=Deployment,reason=ScalingReplicaSet", Want: `^LAST SEEN  TYPE  REASON  OBJECT  MESSAGE\n\S+  Normal  ScalingReplicaSet  deployment/web  Scaled`},
		{Args: "events --for deployment/web --types=Normal", New: true, Want: `^LAST SEEN  TYPE  REASON  OBJECT  MESSAGE\n\S+.* Normal  ScalingReplicaSet  Deployment/web  Scaled`},
		{Args: "events --for deployment/none", New: true, Want: `^No events found in $NS namespace.\n$`},
		{Args: "top pods", Fails: true, Want: `^error: Metrics API not available\n$`},
		{Args: "top nodes", Fails: true, Want: `^error: Metrics API not available\n$`},
	})
}

// testDelete: what goes, when, and what goes with it.
func testDelete(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "apply -f -", Stdin: three, Want: `created`},
		{Args: "delete cm a --dry-run=client", Want: `^configmap "a" deleted( from $NS namespace)? \(dry run\)\n$`},
		{Args: "delete cm a --dry-run=server", Want: `^configmap "a" deleted( from $NS namespace)? \(server dry run\)\n$`},
		{Args: "delete cm a -o name", Want: `^configmap/a\n$`},
		{Args: "delete cm -l app=web", Want: `^configmap "c" deleted( from $NS namespace)?\n$`},
		{Args: "delete cm -l app=web", Want: `^No resources found\n$`},
		{Args: "delete cm b a", Fails: true, Want: `^configmap "b" deleted( from $NS namespace)?\nError from server \(NotFound\): configmaps "a" not found\n$`},
		{Args: "create secret generic s --from-literal=a=1", Want: `created`},
		{Args: "delete secrets --all", Want: `^secret "s" deleted( from $NS namespace)?\n$`},
		{Args: "delete -f -", Stdin: three, Fails: true, Want: `Error from server \(NotFound\): error when deleting "STDIN": configmaps "c" not found\n`},
		{Args: "delete -f - --ignore-not-found", Stdin: three, Want: `^$`},
		{Args: "delete pods --all --field-selector=metadata.name=none", Fails: true, Want: `^error: setting 'all' parameter but found a non empty selector. \n$`},
		{Args: "delete pods --field-selector=metadata.name=none", Want: `^No resources found\n$`},

		{Args: "create deployment kept --image=nginx --replicas=1", Want: `created`},
		{Args: "rollout status deployment kept --timeout=60s", Want: `successfully`},
		{Args: "delete deployment kept --cascade=orphan", Want: `^deployment.apps "kept" deleted( from $NS namespace)?\n$`},
		{Args: "get rs,pods -l app=kept --no-headers", Want: `(?s)^replicaset.apps/kept-\S+  1  1  1  .*pod/kept-\S+  1/1  Running`},
		{Args: "get rs -l app=kept -o jsonpath={.items[0].metadata.ownerReferences}", Want: `^$`},
		{Args: "delete rs -l app=kept --cascade=foreground --timeout=60s", Want: `^replicaset.apps "kept-\S+" deleted( from $NS namespace)?\n$`},
		{Args: "get pods -l app=kept", Want: `^No resources found in $NS namespace.\n$`, Retry: patience},
		{Args: "create deployment whole --image=nginx --replicas=1", Want: `created`},
		{Args: "rollout status deployment whole --timeout=60s", Want: `successfully`},
		{Args: "delete deployment whole --cascade=background --wait=false", Want: `^deployment.apps "whole" deleted( from $NS namespace)?\n$`},
		{Args: "get pods,rs -l app=whole", Want: `^No resources found in $NS namespace.\n$`, Retry: patience},
		{Args: "wait --for=delete pod -l app=whole --timeout=5s", New: true, Want: `^(No resources found\n)?$`},
		{Args: "run ends --image=nginx", Want: `created`},
		{Args: "wait --for=condition=Ready pod/ends --timeout=60s", Want: `condition met`},
		{Args: "delete pod ends --grace-period=0", Want: `pod "ends" (force )?deleted`},
		{Args: "run forced --image=nginx", Want: `created`},
		{Args: "delete pod forced --force --grace-period=0", Want: `(?s)^(w|W)arning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\npod "forced" force deleted( from $NS namespace)?\n$`},
		{Args: "delete pod forced --now --ignore-not-found", Want: `^$`},
		{Args: "delete --raw /api/v1/namespaces/$NS/configmaps/none", Fails: true, Want: `configmaps "none" not found`},

		{Args: "create -f -", Stdin: "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [example.com/held]}}\n", Want: `created`},
		{Args: "delete cm held --wait=false", Want: `deleted`},
		{Args: "delete cm held --timeout=1s", Fails: true, Want: `timed out waiting for the condition`},
		{Args: "get cm held -o jsonpath={.metadata.deletionGracePeriodSeconds}:{.metadata.finalizers}", Want: `^0:\["example.com/held"\]$`},
		{Args: `patch cm held --type=merge -p {"metadata":{"finalizers":["example.com/held","example.com/more"]}}`, Fails: true, Want: `metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers \[\]string\{"example.com/more"\}`},
		{Args: `patch cm held --type=merge -p {"metadata":{"finalizers":null}}`, Want: `patched`},
		{Args: "get cm held", Fails: true, Want: `NotFound`},

		{Args: "create namespace $NS-gone", Want: `created`},
		{Args: "-n $NS-gone create cm a --from-literal=a=1", Want: `created`},
		{Args: "delete namespace $NS-gone --timeout=60s", Want: `^namespace "$NS-gone" deleted\n$`},
		{Args: "get namespace $NS-gone", Fails: true, Want: `^Error from server \(NotFound\): namespaces "$NS-gone" not found\n$`},
	})
}
