//go:build root

package e2e_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// steps of a life of the whoami example, in order.
var steps = []harness.Step{
	{Args: "version", Want: `Server Version`},
	{Args: "cluster-info", Want: `is running at \S*https://127\.0\.0\.1`},
	{Args: "api-resources", Want: `deployments\s+deploy\s+apps/v1\s+true\s+Deployment`},
	{Args: "explain deployment.spec.replicas", Want: `(?s)replicas.*Number of desired pods`},
	{Args: "get nodes -o wide", Want: `(?s)node1\s+Ready.*node2\s+Ready`},
	{Args: "create namespace NS", Want: `namespace/NS created`},
	{Args: "-n NS apply --dry-run=server -f EXAMPLES/whoami-deployment.yaml", Want: `deployment.apps/whoami-deployment created \(server dry run\)`},
	{Args: "-n NS apply -f EXAMPLES/whoami-deployment.yaml -f EXAMPLES/whoami-clusterip.yaml", Want: `(?s)deployment.apps/whoami-deployment created.*service/whoami-clusterip created`},
	{Args: "-n NS rollout status deployment/whoami-deployment --timeout=60s", Want: `successfully rolled out`},
	{Args: "-n NS apply -f EXAMPLES/whoami-deployment.yaml", Want: `deployment.apps/whoami-deployment unchanged`},
	{Args: "-n NS get pods -o wide", Want: `(?s)NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\s+IP\s+NODE\s+NOMINATED NODE\s+READINESS GATES.*1/1\s+Running\s+0\s+\S+\s+10\.244\.`},
	{Args: "-n NS get deploy", Want: `(?s)NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE.*whoami-deployment\s+3/3\s+3\s+3`},
	{Args: "-n NS get rs,svc,endpoints -o wide", Want: `(?s)replicaset.apps/whoami-deployment-\S+\s+3\s+3\s+3.*service/whoami-clusterip\s+ClusterIP\s+10\.\d+\.\d+\.\d+\s+<none>\s+8080/TCP.*app=whoami.*endpoints/whoami-clusterip`},
	{Args: "-n NS get endpointslices", Want: `whoami-clusterip-\S+\s+IPv4\s+8000`},
	{Args: "-n NS get all", Want: `(?s)pod/whoami.*service/whoami.*deployment.apps/whoami.*replicaset.apps/whoami`},
	{Args: "-n NS get deploy whoami-deployment -o json", Want: `"availableReplicas": 3`},
	{Args: "-n NS get deploy whoami-deployment -o yaml", Want: `(?s)kind: Deployment.*availableReplicas: 3`},
	{Args: "-n NS get deploy -o name", Want: `^deployment.apps/whoami-deployment\n$`},
	{Args: "-n NS get deploy whoami-deployment -o jsonpath={.spec.replicas}", Want: `^3$`},
	{Args: "-n NS get deploy -o custom-columns=N:.metadata.name,R:.spec.replicas", Want: `N\s+R\nwhoami-deployment\s+3`},
	{Args: "-n NS get deploy whoami-deployment -o go-template={{.metadata.name}}", Want: `^whoami-deployment$`},
	{Args: "-n NS get pods -l app=whoami --field-selector=status.phase=Running --no-headers", Want: `(?s)(whoami.*){3}`},
	{Args: "-n NS get pods --show-labels", Want: `pod-template-hash=`},
	{Args: "-n NS get pods --sort-by=.metadata.name", Want: `whoami`},
	{Args: "get pods -A", Want: `NS\s+whoami-deployment`},
	{Args: "-n NS get events", Want: `Successfully assigned NS/whoami-deployment-\S+ to node`},
	{Args: "-n NS describe deployment whoami-deployment", Want: `(?s)StrategyType:\s+RollingUpdate.*Available\s+True\s+MinimumReplicasAvailable.*Scaled up replica ?set`},
	{Args: "-n NS describe pod -l app=whoami --show-events", Want: `(?s)Status:\s+Running.*Ready:\s+True.*Events:.*Started container`},
	{Args: "-n NS describe service whoami-clusterip", Want: `(?s)Type:\s+ClusterIP.*Endpoints:\s+10\.244\.\d+\.\d+:8000,`},
	{Args: "describe node node1", Want: `(?s)Ready\s+True.*Capacity:.*cpu:.*PodCIDR:\s+10\.244\.`},
	{Args: "describe namespace NS", Want: `Status:\s+Active`},
	{Args: "-n NS scale deployment whoami-deployment --replicas=5", Want: `scaled`},
	{Args: "-n NS wait --for=condition=Available deployment/whoami-deployment --timeout=30s", Want: `condition met`},
	{Args: "-n NS get deploy whoami-deployment", Want: `5/5`, Retry: 30 * time.Second},
	{Args: "-n NS scale deployment whoami-deployment --current-replicas=5 --replicas=2", Want: `scaled`},
	{Args: "-n NS get deploy whoami-deployment", Want: `2/2`, Retry: 30 * time.Second},
	{Args: "-n NS set image deployment/whoami-deployment whoami=jwilder/whoami:v2", Want: `image updated`},
	{Args: "-n NS rollout status deployment/whoami-deployment --timeout=60s", Want: `successfully rolled out`},
	{Args: "-n NS rollout history deployment/whoami-deployment", Want: `(?s)REVISION\s+CHANGE-CAUSE\n1\s.*2\s`},
	{Args: "-n NS rollout history deployment/whoami-deployment --revision=2", Want: `Image:\s+jwilder/whoami:v2`},
	{Args: "-n NS rollout undo deployment/whoami-deployment", Want: `rolled back`},
	{Args: "-n NS rollout status deployment/whoami-deployment --timeout=60s", Want: `successfully rolled out`},
	{Args: "-n NS get deploy whoami-deployment -o jsonpath={.spec.template.spec.containers[0].image}", Want: `^jwilder/whoami$`},
	{Args: "-n NS rollout pause deployment/whoami-deployment", Want: `paused`},
	{Args: "-n NS rollout resume deployment/whoami-deployment", Want: `resumed`},
	{Args: "-n NS rollout restart deployment/whoami-deployment", Want: `restarted`},
	{Args: "-n NS rollout status deployment/whoami-deployment --timeout=60s", Want: `successfully rolled out`},
	{Args: "-n NS label deployment whoami-deployment tier=web", Want: `labeled`},
	{Args: "-n NS get deploy -l tier=web -o name", Want: `whoami-deployment`},
	{Args: "-n NS label deployment whoami-deployment tier-", Want: `labeled|unlabeled`},
	{Args: "-n NS annotate deployment whoami-deployment note=seen", Want: `annotated`},
	{Args: `-n NS patch deployment whoami-deployment -p {"spec":{"template":{"spec":{"containers":[{"name":"whoami","env":[{"name":"A","value":"1"}]}]}}}}`, Want: `patched`},
	{Args: "-n NS get deploy whoami-deployment -o jsonpath={.spec.template.spec.containers[*].image}{.spec.template.spec.containers[*].env[0].value}", Want: `^jwilder/whoami1$`},
	{Args: `-n NS patch deployment whoami-deployment --type=merge -p {"metadata":{"annotations":{"note":null}}}`, Want: `patched`},
	{Args: `-n NS patch deployment whoami-deployment --type=json -p [{"op":"replace","path":"/spec/replicas","value":3}]`, Want: `patched`},
	{Args: "-n NS edit deployment whoami-deployment", Want: `edited`},
	{Args: "-n NS get deploy whoami-deployment -o jsonpath={.spec.replicas}", Want: `^4$`},
	{Args: "-n NS create configmap settings --from-literal=a=b", Want: `created`},
	{Args: "-n NS create secret generic hidden --from-literal=a=b", Want: `created`},
	{Args: "-n NS get configmap,secret", Want: `(?s)configmap/settings\s+1.*secret/hidden\s+Opaque\s+1`},
	{Args: "-n NS expose deployment whoami-deployment --port=80 --target-port=8000 --name=exposed", Want: `exposed`},
	{Args: "-n NS run talker --image=busybox --restart=Never --image-pull-policy=IfNotPresent --command -- sh -c 'for i in 1 2 3; do echo line $i; sleep 1; done'", Want: `pod/talker created`},
	{Args: "-n NS logs -f talker", Want: `line 1\nline 2\nline 3`, Retry: 20 * time.Second},
	{Args: "-n NS logs talker --tail=1 --timestamps", Want: `^\d{4}-\d\d-\d\dT\S+ line 3\n$`},
	{Args: "-n NS get pod talker", Want: `talker\s+0/1\s+Completed`, Retry: 10 * time.Second},
	{Args: "-n NS delete pod talker", Want: `pod "talker" deleted`},
	{Args: "-n NS apply -f -", Stdin: crasher, Want: `pod/crasher created`},
	{Args: "-n NS get pod crasher", Want: `CrashLoopBackOff`, Retry: 30 * time.Second},
	{Args: "-n NS logs crasher --previous", Want: `^bye\n$`, Retry: 30 * time.Second},
	{Args: "-n NS get pod crasher -o jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}", Want: `^3$`},
	{Args: "-n NS delete pod crasher --now", Want: `deleted`},
	{Args: "-n NS get pod crasher", Fails: true, Want: `Error from server \(NotFound\): pods "crasher" not found`},
	{Args: "-n NS run sleeper --image=busybox --image-pull-policy=IfNotPresent --command -- sleep 1000", Want: `pod/sleeper created`},
	{Args: "-n NS wait --for=condition=Ready pod/sleeper --timeout=30s", Want: `condition met`},
	{Args: "-n NS delete pod sleeper --grace-period=3 --wait=false", Want: `deleted`},
	{Args: "-n NS wait --for=delete pod/sleeper --timeout=30s", Want: `condition met`},
	{Args: "-n NS delete deployment,service --all", Want: `deployment.apps "whoami-deployment" deleted`},
	{Args: "-n NS get pods", Want: `No resources found in NS namespace`, Retry: 30 * time.Second},
	{Args: "delete namespace NS", Want: `namespace "NS" deleted`},
	{Args: "get namespace NS", Fails: true, Want: `namespaces "NS" not found`},
}

const crasher = `
apiVersion: v1
kind: Pod
metadata: {name: crasher}
spec:
  containers:
  - name: c
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "echo bye; exit 3"]
`

func TestKubectl(t *testing.T) {
	for name, binary := range map[string]string{"debian": harness.DebianKubectl(), "own": harness.OwnKubectl()} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("EDITOR", editor(t))
			t.Setenv("HOME", t.TempDir()) // discovery cache
			for _, s := range steps {
				do(t, binary, "kubectl-"+name, s)
			}
		})
	}
}

// editor returns a command that changes replicas from 3 to 4, as a user would.
func editor(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nsed -i 's/^  replicas: 3$/  replicas: 4/' \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func do(t *testing.T, binary, namespace string, s harness.Step) {
	t.Helper()
	harness.Kubectl{
		Path: binary, Old: binary == harness.DebianKubectl(), Args: []string{"--kubeconfig", cluster.Kubeconfig()},
		Names: []string{"NS", namespace, "EXAMPLES", filepath.Join(harness.Root(), "deploy", "examples")},
	}.Do(t, s)
}
