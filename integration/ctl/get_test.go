//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// three are ConfigMaps in an order that is not that of their names.
const three = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c, labels: {app: web, tier: front}}, data: {order: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {app: web, tier: back}}, data: {order: "3"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: b, labels: {app: db}}, data: {order: "2"}}
`

// testGet: every form of output, and every way to say which objects.
func testGet(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "apply -f -", Stdin: three, Want: `^configmap/c created\nconfigmap/a created\nconfigmap/b created\n$`},
		{Args: "create secret generic a --from-literal=k=v", Want: `created`},

		{Args: "get configmap a b", Want: `^NAME  DATA  AGE\na  1  \d+s\nb  1  \d+s\n$`},
		{Args: "get configmap/a secret/a", Want: `^NAME  DATA  AGE\nconfigmap/a  1  \d+s\n\nNAME  TYPE  DATA  AGE\nsecret/a  Opaque  1  \d+s\n$`},
		{Args: "get cm,secrets -l tier", Want: `^NAME  DATA  AGE\nconfigmap/a  1  \d+s\nconfigmap/c  1  \d+s\n$`},
		{Args: "get cm a --show-kind", Want: `^NAME  DATA  AGE\nconfigmap/a  1  \d+s\n$`},
		{Args: "get cm a --no-headers", Want: `^a  1  \d+s\n$`},
		{Args: "get cm a --show-labels", Want: `^NAME  DATA  AGE  LABELS\na  1  \d+s  app=web,tier=back\n$`},
		{Args: "get cm a b -L app -L tier", Want: `^NAME  DATA  AGE  APP  TIER\na  1  \d+s  web  back\nb  1  \d+s  db *\n$`},
		{Args: "get cm a b nobody --ignore-not-found -o name", Want: `^configmap/a\nconfigmap/b\n$`},
		{Args: "get cm a nobody -o name", Fails: true, Want: `^configmap/a\nError from server \(NotFound\): configmaps "nobody" not found\n$`},
		{Args: "get configmaps.v1. a -o name", Want: `^configmap/a\n$`},

		{Args: "get cm -l app=web -o name", Want: `^configmap/a\nconfigmap/c\n$`},
		{Args: "get cm -l app!=web,app -o name", Want: `^configmap/b\n$`},
		{Args: "get cm -l 'app in (db, web),tier notin (back)' -o name", Want: `^configmap/b\nconfigmap/c\n$`},
		{Args: "get cm -l !tier,app -o name", Want: `^configmap/b\n$`},
		{Args: "get cm -l app=none", Want: `^No resources found in $NS namespace.\n$`},
		{Args: "get cm --field-selector metadata.name=b -o name", Want: `^configmap/b\n$`},
		{Args: "get cm --field-selector metadata.name!=b,metadata.namespace=$NS -l app -o name", Want: `^configmap/a\nconfigmap/c\n$`},
		{Args: "get cm -A --field-selector metadata.name=kube-root-ca.crt,metadata.namespace=$NS", Want: `^NAMESPACE  NAME  DATA  AGE\n$NS  kube-root-ca.crt  1  \d+s\n$`},
		{Args: "get cm -l app --chunk-size=1 -o name", Want: `^configmap/a\nconfigmap/b\nconfigmap/c\n$`},
		{Args: "get cm -l app --sort-by=.data.order", Want: `^NAME  DATA  AGE\nc  1  \d+s\nb  1  \d+s\na  1  \d+s\n$`},
		{Args: "get cm -l app --sort-by={.metadata.name} -o name", Want: `^configmap/a\nconfigmap/b\nconfigmap/c\n$`},

		{Args: "get cm a -o json", Want: `(?s)^\{\n    "apiVersion": "v1",\n    "data": \{\n        "order": "3"\n    \},\n    "kind": "ConfigMap",\n    "metadata": \{.*"creationTimestamp": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",.*"uid": "[0-9a-f-]{36}"\n    \}\n\}\n$`},
		{Args: "get cm a b -o json", Want: `(?s)^\{\n    "apiVersion": "v1",\n    "items": \[.*"kind": "List",\n    "metadata": \{\n        "resourceVersion": ""`},
		{Args: "get cm a -o yaml", Want: `(?s)^apiVersion: v1\ndata:\n  order: "3"\nkind: ConfigMap\nmetadata:\n.*\n  name: a\n  namespace: $NS\n  resourceVersion: "\d+"\n  uid: [0-9a-f-]{36}\n$`},
		{Args: "get cm a -o yaml --show-managed-fields", New: true, Want: `(?s)managedFields:\n  - apiVersion: v1\n    fieldsType: FieldsV1\n    fieldsV1:\n      f:data:\n        .: \{\}\n        f:order: \{\}\n.*    manager: kubectl-client-side-apply\n    operation: Update\n    time: "`},
		{Args: "get cm a -o jsonpath={.data.order}", Want: `^3$`},
		{Args: `get cm -l app -o jsonpath={range.items[*]}{.metadata.name}={.data.order}{"\n"}{end}`, Want: `^a=3\nb=2\nc=1\n$`},
		{Args: `get cm -l app -o jsonpath={.items[?(@.data.order=="2")].metadata.name}`, Want: `^b$`},
		{Args: "get cm -l app -o jsonpath-as-json={.items[*].data.order}", Want: `^\[\n    "3",\n    "2",\n    "1"\n\]\n$`},
		{Args: "get cm a -o jsonpath={.data.nothing}", Want: `^$`},
		{Args: "get cm a -o go-template={{.data.order}}", Want: `^3$`},
		{Args: "get cm -l app -o 'go-template={{range .items}}{{.metadata.name}} {{end}}'", Want: `^a b c $`},
		{Args: "get cm a -o template --template={{.kind}}", Want: `^ConfigMap$`},
		{Args: "get cm -l app -o custom-columns=N:.metadata.name,O:.data.order,X:.data.x", Want: `^N  O  X\na  3  <none>\nb  2  <none>\nc  1  <none>\n$`},
		{Args: "get cm -l app -o custom-columns=N:.metadata.name --no-headers", Want: `^a\nb\nc\n$`},
		{Args: "get cm a -o nonsense", Fails: true, Want: `^error: unable to match a printer suitable for the output format "nonsense", allowed formats are: `},

		{Args: "get --raw /api/v1/namespaces/$NS/configmaps/a", Want: `^\{"kind":"ConfigMap","apiVersion":"v1","metadata":\{"name":"a","namespace":"$NS","uid":"`},
		{Args: "get --raw /api/v1/namespaces/$NS/configmaps?labelSelector=app%3Ddb", Want: `^\{"kind":"ConfigMapList","apiVersion":"v1","metadata":\{"resourceVersion":"\d+"\},"items":\[\{"metadata":\{"name":"b"`},
		{Args: "get --raw /readyz?verbose", Want: `(?m)^\[\+\]ping ok\n(.*\n)*readyz check passed\n$`},
		{Args: "get --raw /livez", Want: `^ok$`},
		{Args: "get --raw /healthz", Want: `^ok$`},
		{Args: "get --raw /version", Want: `"major": ?"1"`},
		{Args: "get --raw /.well-known/openid-configuration", Want: `"jwks_uri"`},
		{Args: "get cm a --watch --request-timeout=1s", Want: `^NAME  DATA  AGE\na  1  \d+s\n`},
		{Args: "get cm a --watch-only --request-timeout=1s", Want: `^$`},
		{Args: "get cm -l app --watch --output-watch-events -o name --request-timeout=1s", Want: `^configmap/a\nconfigmap/b\nconfigmap/c\n$`},
		{Args: "get cm -l app --watch --output-watch-events --request-timeout=1s", Want: `^EVENT  NAME  DATA  AGE\nADDED  a  1  \d+s\nADDED  b  1  \d+s\nADDED  c  1  \d+s\n$`},

		{Args: "get svc kubernetes -n default", Want: `^NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT\(S\)  AGE\nkubernetes  ClusterIP  10.96.0.1  <none>  443/TCP  \S+\n$`},
		{Args: "get servicecidrs", Want: `^NAME  CIDRS  AGE\nkubernetes  10.96.0.0/12  \S+\n$`},
		{Args: "get componentstatuses", Want: `(?s)^Warning: v1 ComponentStatus is deprecated in v1.19\+\nNAME  STATUS  MESSAGE  ERROR *\n.*scheduler  Healthy  ok`},
		{Args: "get nodes", Want: `(?m)^NAME  STATUS  ROLES  AGE  VERSION\nnode1  Ready\S*  <none>  \S+  v1\.\d+\.\d+\S*\nnode2  Ready`, Retry: patience},
		{Args: "get nodes -o wide", Want: `(?m)^NAME  STATUS  ROLES  AGE  VERSION  INTERNAL-IP  EXTERNAL-IP  OS-IMAGE  KERNEL-VERSION  CONTAINER-RUNTIME *\nnode1  \S+  <none>  \S+  \S+  127.0.0.1  <none>  .*  fake://1.0.0 *\n`},
		{Args: "get priorityclasses", Want: `(?s)system-cluster-critical  2000000000  false  \S+  PreemptLowerPriority *\nsystem-node-critical  2000001000  false`, Old: `(?s)system-cluster-critical  2000000000  false`},
		{Args: "get podcertificaterequests,ipaddresses,volumeattachments -l none=none", Want: `^No resources found\n$`, Old: `^No resources found\n$`},
	})
}
