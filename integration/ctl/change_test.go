//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// testChange: the commands that change one thing of an object.
func testChange(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "apply -f -", Stdin: webDeployment, Want: `created`},

		{Args: `patch deployment web -p {"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}`, Want: `^deployment.apps/web patched\n$`},
		{Args: "get deployment web -o jsonpath={.spec.template.spec.containers[*].name}", Want: `^side main$`},
		{Args: `patch deployment web -p {"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}`, Want: `patched`},
		{Args: `patch deployment web -p {"spec":{"replicas":0}}`, Want: `^deployment.apps/web patched \(no change\)\n$`},
		{Args: `patch deployment web --type=merge -p {"metadata":{"annotations":{"a":"1"}}} -o jsonpath={.metadata.annotations.a}`, Want: `^1$`},
		{Args: `patch deployment web --type=json -p [{"op":"add","path":"/metadata/annotations/b","value":"2"}]`, Want: `patched`},
		{Args: `patch deployment web --type=json -p [{"op":"remove","path":"/metadata/annotations/b"}] --dry-run=server`, Want: `^deployment.apps/web patched( \(server dry run\))?\n$`},
		{Args: `patch deployment web --subresource=scale --type=merge -p {"spec":{"replicas":1}}`, New: true, Want: `^(deployment.apps|scale.autoscaling)/web patched\n$`},
		{Args: `patch deployment web --subresource=status --type=merge -p {"status":{"conditions":[]}} -o name`, New: true, Want: `^deployment.apps/web\n$`},
		{Args: "get deployment web --subresource=scale", New: true, Want: `^NAME  DESIRED  AVAILABLE  AGE\nweb  1  \d  \d+s\n$`},

		{Args: "label deployment web tier=front", Want: `^deployment.apps/web labeled\n$`},
		{Args: "label deployment web tier=front", Want: `^deployment.apps/web not labeled\n$`, Old: `^error: 'tier' already has a value \(front\), and --overwrite is false\n$`, OldFails: true},
		{Args: "label deployment web tier=back --overwrite", Want: `^deployment.apps/web labeled\n$`},
		{Args: "label deployment web --list", Want: `^(app=web\n)?tier=back\n$`},
		{Args: "label deployment web tier-", Want: `^deployment.apps/web unlabeled\n$`, Old: `^deployment.apps/web labeled\n$`},
		{Args: "label deployments --all all=yes", Want: `^deployment.apps/web labeled\n$`},
		{Args: "label deployment web x=1 --resource-version=1", Fails: true, Want: `^Error from server \(Conflict\): Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your changes to the latest version and try again\n$`},
		{Args: "annotate deployment web note=seen a-", Want: `^deployment.apps/web annotated\n$`},
		{Args: "annotate deployment web note=again", Fails: true, Want: `^error: --overwrite is false but found the following declared annotation\(s\): 'note' already has a value \(seen\)\n$`},
		{Args: "annotate deployment web --list", New: true, Want: `note=seen\n`},

		{Args: "set image deployment/web main=busybox", Want: `^deployment.apps/web image updated\n$`},
		{Args: "set image deployment/web other=busybox", Fails: true, Want: `^error: unable to find container named "other"\n$`},
		{Args: "set env deployment/web A=1 B=2", Want: `^deployment.apps/web env updated\n$`},
		{Args: "set env deployment/web --list", Want: `^# (D|d)eployment(s\.apps)?[ /]web, container main\nA=1\nB=2\n$`},
		{Args: "set env deployment/web A-", Want: `env updated`},
		{Args: "set resources deployment web --limits=cpu=200m,memory=64Mi --requests=cpu=100m", Want: `^deployment.apps/web resource requirements updated\n$`},
		{Args: "set serviceaccount deployment web default", Want: `^deployment.apps/web serviceaccount updated\n$`},
		{Args: "get deployment web -o jsonpath={.spec.template.spec.containers[0].image}:{.spec.template.spec.containers[0].env}:{.spec.template.spec.containers[0].resources}:{.spec.template.spec.serviceAccountName}", Want: `^busybox:\[\{"name":"B","value":"2"\}\]:\{"limits":\{"cpu":"200m","memory":"64Mi"\},"requests":\{"cpu":"100m"\}\}:default$`},
		{Args: "expose deployment web --port=80 --target-port=8080 --name=front", Want: `^service/front exposed\n$`},
		{Args: "set selector service front app=other", Want: `^service/front selector updated\n$`},
		{Args: "get service front -o jsonpath={.spec.selector}:{.spec.ports[0].targetPort}", Want: `^\{"app":"other"\}:8080$`},
		{Args: "create rolebinding readers --clusterrole=view --user=jane", Want: `created`},
		{Args: "set subject rolebinding readers --group=devs --serviceaccount=$NS:default", Want: `^rolebinding.rbac.authorization.k8s.io/readers subjects updated\n$`},
		{Args: "get rolebinding readers -o jsonpath={.subjects[*].kind}", Want: `^User Group ServiceAccount$`},

		{Args: "scale deployment web --replicas=0", Want: `^deployment.apps/web scaled\n$`},
		{Args: "scale deployment web --current-replicas=0 --replicas=0", Want: `^deployment.apps/web scaled\n$`},
		{Args: "autoscale deployment web --min=1 --max=3 --cpu-percent=80", Want: `^(Flag --cpu-percent has been deprecated, .*\n)?horizontalpodautoscaler.autoscaling/web autoscaled\n$`},
		{Args: "get hpa web", Want: `\nweb  Deployment/web  cpu: <unknown>/80%  1  3  0  \d+s\n`},
		{Args: "get horizontalpodautoscalers.v1.autoscaling web -o jsonpath={.spec.targetCPUUtilizationPercentage}", Want: `^80$`},
		{Args: "autoscale deployment web --min=4 --max=3", Fails: true, Want: `must be larger or equal to the minimum|--max=MAXPODS must be larger or equal to --min=MINPODS`},

		{Args: "edit deployment web", Want: `^deployment.apps/web edited\n$`},
		{Args: "get deployment web -o jsonpath={.spec.minReadySeconds}", Want: `^5$`},
		{Args: "edit deployment web", Want: `^Edit cancelled, no changes made.\n$`},
		{Args: "replace -f - --force", Stdin: webDeployment, Want: `^deployment.apps "web" deleted(?: from $NS namespace)?\ndeployment.apps/web replaced\n$`},
		{Args: "get deployment web -o jsonpath={.metadata.generation}:{.spec.template.spec.containers[0].image}", Want: `^1:nginx$`},

		{Args: "run one --image=nginx --labels=a=b --port=80 --env=A=1 --restart=Never", Want: `^pod/one created\n$`},
		{Args: "get pod one -o jsonpath={.metadata.labels}:{.spec.restartPolicy}:{.spec.containers[0].env[0].value}:{.spec.containers[0].imagePullPolicy}:{.spec.dnsPolicy}", Want: `^\{"a":"b"\}:Never:1:Always:ClusterFirst$`},
		{Args: "run two --image=nginx --dry-run=client -o name", Want: `^pod/two\n$`},
		{Args: "run three --image=nginx --expose --port=80", Want: `^pod/three created\nservice/three created\n$`, Old: `^service/three created\npod/three created\n$`},
		{Args: `patch pod one -p {"spec":{"containers":[{"name":"one","image":"busybox"}]}}`, Want: `^pod/one patched\n$`},
		{Args: `patch pod one -p {"spec":{"restartPolicy":"Always"}}`, Fails: true, Want: "(?s)^The Pod \"one\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers\\[\\*\\].image`,\\s?`spec.initContainers\\[\\*\\].image`,\\s?`spec.activeDeadlineSeconds`,\\s?`spec.tolerations` \\(only additions to existing tolerations\\),\\s?`spec.terminationGracePeriodSeconds` \\(allow it to be set to 1 if it was previously negative\\)\n"},
	})
}
