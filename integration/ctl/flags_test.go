//go:build root

package ctl_test

import (
	"bufio"
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// testFlags: the less usual ways to call a command.
func testFlags(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "create -f -", Stdin: three, Want: `^configmap/c created\nconfigmap/a created\nconfigmap/b created\n$`},
		{Args: "create -f - --save-config", Stdin: webDeployment, Want: `^deployment.apps/web created\n$`},
		{Args: "apply -f -", Stdin: webDeployment, Want: `^deployment.apps/web (unchanged|configured)\n$`},
		{Args: "create --raw /api/v1/namespaces/$NS/configmaps -f -", Stdin: `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"raw"}}`, Want: `^\{"kind":"ConfigMap","apiVersion":"v1","metadata":\{"name":"raw","namespace":"$NS","uid":`},
		{Args: "replace --raw /api/v1/namespaces/$NS/configmaps/raw -f -", Stdin: `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"raw"},"data":{"a":"1"}}`, Want: `"data":\{"a":"1"\}\}`},
		{Args: "delete --raw /api/v1/namespaces/$NS/configmaps/raw", Want: `^\{"kind":"Status","apiVersion":"v1","metadata":\{\},"status":"Success","details":\{"name":"raw","kind":"configmaps","uid":"[0-9a-f-]+"\}\}\n?$`},
		{Args: "create --raw /api/v1/namespaces/$NS/configmaps -f -", Stdin: `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"raw"}}`, Fails: true, Want: `^Error from server \(BadRequest\): Secret in version "v1" cannot be handled as a ConfigMap: `},
		{Args: "create -f - --edit", Stdin: "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: edited}, data: {a: \"3\"}}\n", Want: `^configmap/edited (created|edited)\n$`},
		{Args: "get cm edited -o jsonpath={.data.a}", Want: `^4$`},
		{Args: "get cm -l app --server-print=false", Want: `^NAME  AGE\na  \d+s\nb  \d+s\nc  \d+s\n$`},
		{Args: "get -f - -o name", Stdin: three, Want: `^configmap/c\nconfigmap/a\nconfigmap/b\n$`},
		{Args: "get deployment web --subresource=status -o name", New: true, Want: `^deployment.apps/web\n$`},
		{Args: "get pods,deployments,services -A -l none=none", Want: `^No resources found\n$`},
		{Args: "get pods/a services/b --ignore-not-found", Want: `^$`},
		{Args: "get cm a secrets", Fails: true, Want: `^Error from server \(NotFound\): configmaps "secrets" not found\n$|^NAME  DATA  AGE\na  1  \d+s\nError from server \(NotFound\): configmaps "secrets" not found\n$`},
		{Args: "get cm/a secrets", Fails: true, Want: `^error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form`},

		{Args: `patch -f - -p {"data":{"order":"4"}}`, Stdin: "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n", Want: `^configmap/a patched\n$`},
		{Args: `patch cm a -p {"data":{"order":"5"}} --dry-run=client -o jsonpath={.data.order}`, Want: `^5$`},
		{Args: "label cm -l app tested=yes -o name", Want: `^configmap/a\nconfigmap/b\nconfigmap/c\n$`},
		{Args: "label cm a b tested=no --overwrite --dry-run=server", Want: `^configmap/a labeled \(server dry run\)\nconfigmap/b labeled \(server dry run\)\n$|^configmap/a labeled\nconfigmap/b labeled\n$`},
		{Args: "get cm -l tested=yes -o name", Want: `^configmap/a\nconfigmap/b\nconfigmap/c\n$`},
		{Args: "annotate cm --all all=yes --field-manager=somebody", Want: `(?s)configmap/a annotated\n.*configmap/kube-root-ca.crt annotated\n`},
		{Args: "get cm a --show-managed-fields -o jsonpath={.metadata.managedFields[*].manager}", New: true, Want: `somebody`},
		{Args: "set image -f - main=busybox --local -o jsonpath={.spec.template.spec.containers[0].image}", Stdin: webDeployment, Want: `^busybox$`},
		{Args: "set image deployments --all main=busybox --dry-run=server", Want: `^deployment.apps/web image updated \(server dry run\)\n$`},
		{Args: "set env deployment web --from=configmap/a --prefix=P_", Want: `env updated`},
		{Args: "get deployment web -o jsonpath={.spec.template.spec.containers[0].env[0]}", Want: `^\{"name":"P_ORDER","valueFrom":\{"configMapKeyRef":\{"key":"order","name":"a"\}\}\}$`},
		{Args: "scale -f - --replicas=0", Stdin: webDeployment, Want: `^deployment.apps/web scaled\n$`, Old: `^error: no objects passed to scale\n$`, OldFails: true},
		{Args: "scale deployment web other --replicas=0", Fails: true, Want: `(?s)deployments.apps "other" not found`},
		{Args: "scale deployments --all --replicas=0", Want: `^deployment.apps/web scaled\n$`},
		{Args: "expose deployment web --port=80 --cluster-ip=None --name=headless", Want: `^service/headless exposed\n$`},
		{Args: "get service headless", Want: `\nheadless  ClusterIP  None  <none>  80/TCP  \d+s\n`},
		{Args: "expose service headless --port=81 --type=NodePort --name=again", Want: `^service/again exposed\n$`},
		{Args: "expose deployment web --name=none", Fails: true, Want: `^error: couldn't find port via --port flag or introspection\n`},
		{Args: "rollout status deployment web --watch=false", Want: `deployment "web" successfully rolled out|Waiting for deployment`},
		{Args: "delete cm a b c --wait=true --timeout=10s", Want: `(?s)"a" deleted.*"b" deleted.*"c" deleted`},
		{Args: "api-resources --sort-by=kind --no-headers -o name --api-group=policy", Want: `^poddisruptionbudgets.policy\n$`},
		{Args: "api-resources --api-group=none.example.com --no-headers", Want: `^$`},
		{Args: "cluster-info dump --namespaces=$NS --output-directory=$DIR/dump", Want: `^Cluster info dumped to $DIR/dump\n$`},
		{Args: "get cm -v=6", Want: `(?m)(GET https://127.0.0.1:\d+/api/v1/namespaces/$NS/configmaps\?limit=500 200 OK|verb="GET" url="https://127.0.0.1:\d+/api/v1/namespaces/$NS/configmaps\?limit=500" status="200 OK")`},
		{Args: "top pod", Fails: true, Want: `^error: Metrics API not available\n$`},
		{Args: "run node-shell --image=busybox --dry-run=server --overrides={\"spec\":{\"hostNetwork\":true,\"hostPID\":true,\"nodeName\":\"node1\"}} -o name", Want: `^pod/node-shell\n$`},
	})
}

// testProxy asks the server through kubectl proxy.
func testProxy(t *testing.T, c *cluster) {
	c.inBoth(t, func(t *testing.T, k harness.Kubectl) {
		proxy := k.Command(t, "proxy", "--port=0", "--api-prefix=/k")
		out, err := proxy.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = proxy.Process.Kill(); _ = proxy.Wait() }()
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
		for path, want := range map[string]string{
			"/k/api/v1/namespaces/default/services/kubernetes": `"clusterIP":"10.96.0.1"`,
			"/k/apis/apps":                   `"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}`,
			"/k/api/v1/namespaces/none/pods": `"items":[]`,
			"/k/healthz":                     `ok`,
		} {
			resp, err := http.Get("http://" + address + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != 200 || !regexp.MustCompile(regexp.QuoteMeta(want)).Match(body) {
				t.Errorf("%s: %d %s, want %s; %v", path, resp.StatusCode, body, want, err)
			}
		}
	})
}
