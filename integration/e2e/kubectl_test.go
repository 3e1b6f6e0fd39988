//go:build root

package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// step is one kubectl call and what it must print.
type step struct {
	args  string // split at spaces; a quoted part stays whole
	stdin string
	want  string // regular expression over both streams
	fails bool
	retry time.Duration // the call is repeated until it is as wanted
}

// steps of a life of the whoami example, in order.
var steps = []step{
	{args: "version", want: `Server Version`},
	{args: "cluster-info", want: `is running at \S*https://127\.0\.0\.1`},
	{args: "api-resources", want: `deployments\s+deploy\s+apps/v1\s+true\s+Deployment`},
	{args: "explain deployment.spec.replicas", want: `(?s)replicas.*Number of desired pods`},
	{args: "get nodes -o wide", want: `(?s)node1\s+Ready.*node2\s+Ready`},
	{args: "create namespace NS", want: `namespace/NS created`},
	{args: "-n NS apply --dry-run=server -f EXAMPLES/whoami-deployment.yaml", want: `deployment.apps/whoami-deployment created \(server dry run\)`},
	{args: "-n NS apply -f EXAMPLES/whoami-deployment.yaml -f EXAMPLES/whoami-clusterip.yaml", want: `(?s)deployment.apps/whoami-deployment created.*service/whoami-clusterip created`},
	{args: "-n NS rollout status deployment/whoami-deployment --timeout=60s", want: `successfully rolled out`},
	{args: "-n NS apply -f EXAMPLES/whoami-deployment.yaml", want: `deployment.apps/whoami-deployment unchanged`},
	{args: "-n NS get pods -o wide", want: `(?s)NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\s+IP\s+NODE\s+NOMINATED NODE\s+READINESS GATES.*1/1\s+Running\s+0\s+\S+\s+10\.244\.`},
	{args: "-n NS get deploy", want: `(?s)NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE.*whoami-deployment\s+3/3\s+3\s+3`},
	{args: "-n NS get rs,svc,endpoints -o wide", want: `(?s)replicaset.apps/whoami-deployment-\S+\s+3\s+3\s+3.*service/whoami-clusterip\s+ClusterIP\s+10\.\d+\.\d+\.\d+\s+<none>\s+8080/TCP.*app=whoami.*endpoints/whoami-clusterip`},
	{args: "-n NS get endpointslices", want: `whoami-clusterip-\S+\s+IPv4\s+8000`},
	{args: "-n NS get all", want: `(?s)pod/whoami.*service/whoami.*deployment.apps/whoami.*replicaset.apps/whoami`},
	{args: "-n NS get deploy whoami-deployment -o json", want: `"availableReplicas": 3`},
	{args: "-n NS get deploy whoami-deployment -o yaml", want: `(?s)kind: Deployment.*availableReplicas: 3`},
	{args: "-n NS get deploy -o name", want: `^deployment.apps/whoami-deployment\n$`},
	{args: "-n NS get deploy whoami-deployment -o jsonpath={.spec.replicas}", want: `^3$`},
	{args: "-n NS get deploy -o custom-columns=N:.metadata.name,R:.spec.replicas", want: `N\s+R\nwhoami-deployment\s+3`},
	{args: "-n NS get deploy whoami-deployment -o go-template={{.metadata.name}}", want: `^whoami-deployment$`},
	{args: "-n NS get pods -l app=whoami --field-selector=status.phase=Running --no-headers", want: `(?s)(whoami.*){3}`},
	{args: "-n NS get pods --show-labels", want: `pod-template-hash=`},
	{args: "-n NS get pods --sort-by=.metadata.name", want: `whoami`},
	{args: "get pods -A", want: `NS\s+whoami-deployment`},
	{args: "-n NS get events", want: `Successfully assigned NS/whoami-deployment-\S+ to node`},
	{args: "-n NS describe deployment whoami-deployment", want: `(?s)StrategyType:\s+RollingUpdate.*Available\s+True\s+MinimumReplicasAvailable.*Scaled up replica ?set`},
	{args: "-n NS describe pod -l app=whoami --show-events", want: `(?s)Status:\s+Running.*Ready:\s+True.*Events:.*Started container`},
	{args: "-n NS describe service whoami-clusterip", want: `(?s)Type:\s+ClusterIP.*Endpoints:\s+10\.244\.\d+\.\d+:8000,`},
	{args: "describe node node1", want: `(?s)Ready\s+True.*Capacity:.*cpu:.*PodCIDR:\s+10\.244\.`},
	{args: "describe namespace NS", want: `Status:\s+Active`},
	{args: "-n NS scale deployment whoami-deployment --replicas=5", want: `scaled`},
	{args: "-n NS wait --for=condition=Available deployment/whoami-deployment --timeout=30s", want: `condition met`},
	{args: "-n NS get deploy whoami-deployment", want: `5/5`, retry: 30 * time.Second},
	{args: "-n NS scale deployment whoami-deployment --current-replicas=5 --replicas=2", want: `scaled`},
	{args: "-n NS get deploy whoami-deployment", want: `2/2`, retry: 30 * time.Second},
	{args: "-n NS set image deployment/whoami-deployment whoami=jwilder/whoami:v2", want: `image updated`},
	{args: "-n NS rollout status deployment/whoami-deployment --timeout=60s", want: `successfully rolled out`},
	{args: "-n NS rollout history deployment/whoami-deployment", want: `(?s)REVISION\s+CHANGE-CAUSE\n1\s.*2\s`},
	{args: "-n NS rollout history deployment/whoami-deployment --revision=2", want: `Image:\s+jwilder/whoami:v2`},
	{args: "-n NS rollout undo deployment/whoami-deployment", want: `rolled back`},
	{args: "-n NS rollout status deployment/whoami-deployment --timeout=60s", want: `successfully rolled out`},
	{args: "-n NS get deploy whoami-deployment -o jsonpath={.spec.template.spec.containers[0].image}", want: `^jwilder/whoami$`},
	{args: "-n NS rollout pause deployment/whoami-deployment", want: `paused`},
	{args: "-n NS rollout resume deployment/whoami-deployment", want: `resumed`},
	{args: "-n NS rollout restart deployment/whoami-deployment", want: `restarted`},
	{args: "-n NS rollout status deployment/whoami-deployment --timeout=60s", want: `successfully rolled out`},
	{args: "-n NS label deployment whoami-deployment tier=web", want: `labeled`},
	{args: "-n NS get deploy -l tier=web -o name", want: `whoami-deployment`},
	{args: "-n NS label deployment whoami-deployment tier-", want: `labeled|unlabeled`},
	{args: "-n NS annotate deployment whoami-deployment note=seen", want: `annotated`},
	{args: `-n NS patch deployment whoami-deployment -p {"spec":{"template":{"spec":{"containers":[{"name":"whoami","env":[{"name":"A","value":"1"}]}]}}}}`, want: `patched`},
	{args: "-n NS get deploy whoami-deployment -o jsonpath={.spec.template.spec.containers[*].image}{.spec.template.spec.containers[*].env[0].value}", want: `^jwilder/whoami1$`},
	{args: `-n NS patch deployment whoami-deployment --type=merge -p {"metadata":{"annotations":{"note":null}}}`, want: `patched`},
	{args: `-n NS patch deployment whoami-deployment --type=json -p [{"op":"replace","path":"/spec/replicas","value":3}]`, want: `patched`},
	{args: "-n NS edit deployment whoami-deployment", want: `edited`},
	{args: "-n NS get deploy whoami-deployment -o jsonpath={.spec.replicas}", want: `^4$`},
	{args: "-n NS create configmap settings --from-literal=a=b", want: `created`},
	{args: "-n NS create secret generic hidden --from-literal=a=b", want: `created`},
	{args: "-n NS get configmap,secret", want: `(?s)configmap/settings\s+1.*secret/hidden\s+Opaque\s+1`},
	{args: "-n NS expose deployment whoami-deployment --port=80 --target-port=8000 --name=exposed", want: `exposed`},
	{args: "-n NS run talker --image=busybox --restart=Never --image-pull-policy=IfNotPresent --command -- sh -c 'for i in 1 2 3; do echo line $i; sleep 1; done'", want: `pod/talker created`},
	{args: "-n NS logs -f talker", want: `line 1\nline 2\nline 3`, retry: 20 * time.Second},
	{args: "-n NS logs talker --tail=1 --timestamps", want: `^\d{4}-\d\d-\d\dT\S+ line 3\n$`},
	{args: "-n NS get pod talker", want: `talker\s+0/1\s+Completed`, retry: 10 * time.Second},
	{args: "-n NS delete pod talker", want: `pod "talker" deleted`},
	{args: "-n NS apply -f -", stdin: crasher, want: `pod/crasher created`},
	{args: "-n NS get pod crasher", want: `CrashLoopBackOff`, retry: 30 * time.Second},
	{args: "-n NS logs crasher --previous", want: `^bye\n$`, retry: 30 * time.Second},
	{args: "-n NS get pod crasher -o jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}", want: `^3$`},
	{args: "-n NS delete pod crasher --now", want: `deleted`},
	{args: "-n NS get pod crasher", fails: true, want: `Error from server \(NotFound\): pods "crasher" not found`},
	{args: "-n NS run sleeper --image=busybox --image-pull-policy=IfNotPresent --command -- sleep 1000", want: `pod/sleeper created`},
	{args: "-n NS wait --for=condition=Ready pod/sleeper --timeout=30s", want: `condition met`},
	{args: "-n NS delete pod sleeper --grace-period=3 --wait=false", want: `deleted`},
	{args: "-n NS wait --for=delete pod/sleeper --timeout=30s", want: `condition met`},
	{args: "-n NS delete deployment,service --all", want: `deployment.apps "whoami-deployment" deleted`},
	{args: "-n NS get pods", want: `No resources found in NS namespace`, retry: 30 * time.Second},
	{args: "delete namespace NS", want: `namespace "NS" deleted`},
	{args: "get namespace NS", fails: true, want: `namespaces "NS" not found`},
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

func do(t *testing.T, binary, namespace string, s step) {
	t.Helper()
	replace := strings.NewReplacer("NS", namespace, "EXAMPLES", filepath.Join(harness.Root(), "deploy", "examples"))
	want := regexp.MustCompile(replace.Replace(s.want))
	attempt := func() error {
		out, err := cluster.Kubectl(t.Context(), binary, s.stdin, split(replace.Replace(s.args))...)
		switch {
		case s.fails && err == nil:
			return errorf("succeeded, should fail:\n%s", out)
		case !s.fails && err != nil:
			return err
		case !want.MatchString(out):
			return errorf("printed\n%s\nnot %s", out, want)
		}
		return nil
	}
	err := attempt()
	if err != nil && s.retry > 0 {
		err = harness.Eventually(t.Context(), s.retry, attempt)
	}
	if err != nil {
		t.Fatalf("kubectl %s: %v", s.args, err)
	}
}

// split cuts at spaces outside single quotes.
func split(s string) []string {
	var words []string
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}
