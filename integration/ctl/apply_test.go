//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// two is a set of manifests with a label by which apply prunes.
const (
	two = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: keep, labels: {set: "1"}}, data: {a: "1", b: "2"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: go, labels: {set: "1"}}, data: {a: "1"}}
`
	justOne = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: keep, labels: {set: "1"}}, data: {a: "3"}}
`
	ownedByA = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {a: "1"}}
`
	ownedByB = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {a: "2", b: "2"}}
`
	serviceOne = `---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{name: http, port: 80}]}}
`
	serviceTwo = `---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: https, port: 443}]}}
`
)

// testApply: client-side, server-side, diff, prune, and what is last applied.
func testApply(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "diff -f -", Stdin: two, Fails: true, Want: `(?s)\n\+kind: ConfigMap\n.*exit status 1|(?s)\n\+kind: ConfigMap\n`},
		{Args: "apply -f - --dry-run=client", Stdin: two, Want: `^configmap/keep created \(dry run\)\nconfigmap/go created \(dry run\)\n$`},
		{Args: "apply -f - --dry-run=server", Stdin: two, Want: `^configmap/keep created \(server dry run\)\nconfigmap/go created \(server dry run\)\n$`},
		{Args: "get cm keep", Fails: true, Want: `NotFound`},
		{Args: "apply -f -", Stdin: two, Want: `^configmap/keep created\nconfigmap/go created\n$`},
		{Args: "apply -f -", Stdin: two, Want: `^configmap/keep unchanged\nconfigmap/go unchanged\n$`},
		{Args: "diff -f -", Stdin: two, Want: `^$`},
		{Args: "diff -f -", Stdin: justOne, Fails: true, Want: `(?s)\n-  a: "1"\n-  b: "2"\n\+  a: "3"\n`},
		{Args: "apply view-last-applied cm keep", Want: `^apiVersion: v1\ndata:\n  a: "1"\n  b: "2"\nkind: ConfigMap\nmetadata:\n  annotations: \{\}\n  labels:\n    set: "1"\n  name: keep\n  namespace: $NS\n`},
		{Args: "apply view-last-applied cm keep -o json", Want: `^\{\n  "apiVersion": "v1",\n  "data": \{\n    "a": "1",\n    "b": "2"\n`},
		{Args: "apply --prune -l set=1 -f -", Stdin: justOne, Want: `(?s)configmap/keep configured\n.*configmap/go pruned\n`, Old: `no matches for kind "CronJob" in version "batch/v1beta1"`, OldFails: true},
		{Args: "delete cm go --ignore-not-found", Want: ``},
		{Args: "get cm keep -o jsonpath={.data}", Want: `^\{"a":"3"\}$`},
		{Args: "get cm go", Fails: true, Want: `NotFound`},
		{Args: "apply set-last-applied -f -", Stdin: two, Fails: true, Want: `not found`},
		{Args: "apply set-last-applied -f -", Stdin: justOne, Want: `^configmap/keep configured\n$`, Old: `^configmap/keep configured\n$`},
		{Args: "create cm bare --from-literal=a=1", Want: `created`},
		{Args: "apply view-last-applied cm bare", Want: `^\n?$`},
		{Args: "apply -f -", Stdin: "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: bare}, data: {b: \"2\"}}\n", Want: `^Warning: resource configmaps/bare is missing the kubectl.kubernetes.io/last-applied-configuration annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.\nconfigmap/bare configured\n$`,
			Old: `^Warning: resource configmaps/bare is missing the kubectl.kubernetes.io/last-applied-configuration annotation`},
		{Args: "get cm bare -o jsonpath={.data}", Want: `^\{"a":"1","b":"2"\}$`},

		{Args: "apply -f -", Stdin: serviceOne, Want: `^service/web created\n$`},
		{Args: "apply -f -", Stdin: serviceTwo, Want: `^service/web configured\n$`},
		{Args: "get service web -o jsonpath={.spec.ports[*].name}", Want: `^http https$`},
		{Args: "apply -f -", Stdin: serviceOne, Want: `^service/web configured\n$`},
		{Args: "get service web -o jsonpath={.spec.ports[*].port}", Want: `^80$`},
		{Args: "apply -f - --force", Stdin: "---\n{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 80}]}}\n", Want: `^service/web configured\n$`},

		{Args: "apply --server-side --field-manager=a -f -", Stdin: ownedByA, Want: `^configmap/shared serverside-applied\n$`},
		{Args: "apply --server-side --field-manager=a -f -", Stdin: ownedByA, Want: `^configmap/shared serverside-applied\n$`},
		{Args: "apply --server-side --field-manager=b -f -", Stdin: ownedByB, Fails: true, Want: `(?s)^error: Apply failed with 1 conflict: conflict with "a": .data.a\nPlease review the fields above--they currently have other managers.`},
		{Args: "apply --server-side --field-manager=b --force-conflicts -f -", Stdin: ownedByB, Want: `^configmap/shared serverside-applied\n$`},
		{Args: "get cm shared -o jsonpath={.data}", Want: `^\{"a":"2","b":"2"\}$`},
		{Args: "get cm shared --show-managed-fields -o jsonpath={.metadata.managedFields[*].manager}:{.metadata.managedFields[*].operation}", New: true, Want: `^b:Apply$`},
		{Args: "apply --server-side --field-manager=b -f -", Stdin: ownedByA, Want: `^configmap/shared serverside-applied\n$`},
		{Args: "get cm shared -o jsonpath={.data}", Want: `^\{"a":"1"\}$`},
		{Args: "apply --server-side --dry-run=server -f -", Stdin: ownedByA, Want: `^configmap/shared serverside-applied \(server dry run\)\n$`},
		{Args: "apply --server-side -f -", Stdin: "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {a: 1}}\n", Fails: true, Want: `(?s)failed to create typed patch object \($NS/shared; /v1, Kind=ConfigMap\): .data.a: expected string, got &value.valueUnstructured\{Value:1\}|cannot unmarshal number into Go struct field ConfigMap.data of type string`, Old: `validating data|failed to create typed patch object`},
		{Args: "diff --server-side --force-conflicts -f -", Stdin: ownedByB, Fails: true, Want: `(?s)\n-  a: "1"\n\+  a: "2"\n\+  b: "2"\n`},
		{Args: "apply -f - --server-side --force-conflicts=true --field-manager=kubectl", Stdin: justOne, Want: `^configmap/keep serverside-applied\n$`},
		{Args: "apply -k $DATA/kustom", Want: `^configmap/made-[a-z0-9]{10} created\n$`},
		{Args: "kustomize $DATA/kustom", Want: `^apiVersion: v1\ndata:\n  a: "1"\nkind: ConfigMap\nmetadata:\n  name: made-[a-z0-9]{10}\n$`},
		{Args: "apply -f - -o jsonpath={.metadata.name}", Stdin: justOne, Want: `^keep$`},
		{Args: "apply edit-last-applied cm keep", Want: `^configmap/keep edited\n$`},
		{Args: "get cm keep -o jsonpath={.metadata.annotations.kubectl\\.kubernetes\\.io/last-applied-configuration}", Want: `"data":\{"a":"4"\}`},
	})
}
