//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

const (
	webDeployment = `---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 0, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: nginx}]}}}}`
	unknownFields = `---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: odd}, spec: {replica: 1, selector: {matchLabels: {app: odd}}, template: {metadata: {labels: {app: odd}}, spec: {containers: [{name: main, image: nginx, imag: nginx}]}}}}`
	wrongType = `---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: odd}, spec: {replicas: many, selector: {matchLabels: {app: odd}}, template: {metadata: {labels: {app: odd}}, spec: {containers: [{name: main, image: nginx}]}}}}`
	otherLabels = `---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: odd}, spec: {selector: {matchLabels: {app: one}}, template: {metadata: {labels: {app: two}}, spec: {containers: [{name: main, image: nginx}]}}}}`
	wrongPod = `---
{apiVersion: v1, kind: Pod, metadata: {name: Odd_Name}, spec: {restartPolicy: Sometimes, containers: [{name: main, image: nginx, ports: [{containerPort: 70000}]}, {name: main}]}}`
	webConfig = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: "1"}}`
	fixedConfig = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: fixed}, immutable: true, data: {a: "1"}}`
	fixedOther = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: fixed}, immutable: true, data: {a: "2"}}`
	staleConfig = `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: web, resourceVersion: "1"}, data: {a: "2"}}`
)

// testWrongInput: what Kubernetes says of mistakes.
func testWrongInput(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "get nonsense", Fails: true, Want: `^error: the server doesn't have a resource type "nonsense"\n$`},
		{Args: "get pods nobody", Fails: true, Want: `^Error from server \(NotFound\): pods "nobody" not found\n$`},
		{Args: "get pods nobody --ignore-not-found", Want: `^$`},
		{Args: "get deployments.v1.apps nobody", Fails: true, Want: `^Error from server \(NotFound\): deployments.apps "nobody" not found\n$`},
		{Args: "get deployments.v2.apps", Fails: true, Want: `^error: the server doesn't have a resource type "deployments" in group "v2.apps"\n$`, Old: `^error: the server doesn't have a resource type "deployments"\n$`},
		{Args: "get pods", Want: `^No resources found in $NS namespace.\n$`},
		{Args: "get pods -n no-such-namespace", Want: `^No resources found in no-such-namespace namespace.\n$`},
		{Args: "get pods -l a=b=c", Fails: true, Want: `unable to parse requirement: found '=', expected: ',' or 'end of string'`, Old: `found '=', expected: ',' or 'end of string'`},
		{Args: "get pods --field-selector spec.nothing=1", Fails: true, Want: `^Error from server \(BadRequest\): Unable to find "/v1, Resource=pods" that match label selector "", field selector "spec.nothing=1": field label not supported: spec.nothing\n$`},
		{Args: "get configmaps --field-selector data.a=1", Fails: true, Want: `^Error from server \(BadRequest\): Unable to find "/v1, Resource=configmaps" that match label selector "", field selector "data.a=1": "data.a" is not a known field selector: only "metadata.name", "metadata.namespace"\n$`},
		{Args: "get pods nobody --subresource=scale", New: true, Fails: true, Want: `^Error from server \(NotFound\): the server could not find the requested resource\n$`},
		{Args: "get --raw /api/v1/nonsense", Fails: true, Want: `^Error from server \(NotFound\): the server could not find the requested resource\n$`},
		{Args: "get --raw /apis/none.example.com/v1", Fails: true, Want: `^Error from server \(NotFound\): the server could not find the requested resource\n$`},

		{Args: "apply -f -", Stdin: webDeployment, Want: `^deployment.apps/web created\n$`},
		{Args: "create -f -", Stdin: webDeployment, Fails: true, Want: `^Error from server \(AlreadyExists\): error when creating "STDIN": deployments.apps "web" already exists\n$`},
		{Args: "create configmap web --from-literal=a=1", Want: `created`},
		{Args: "create configmap web --from-literal=a=1", Fails: true, Want: `^error: failed to create configmap: configmaps "web" already exists\n$`, Old: `^Error from server \(AlreadyExists\): configmaps "web" already exists\n$`},
		{Args: "create -f -", Stdin: unknownFields, Fails: true, Want: `^Error from server \(BadRequest\): error when creating "STDIN": Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replica", unknown field "spec.template.spec.containers\[0\].imag"\n$`,
			Old: `(?s)^error: error validating "STDIN": error validating data: \[ValidationError\(Deployment.spec\): unknown field "replica" in io.k8s.api.apps.v1.DeploymentSpec, ValidationError\(Deployment.spec.template.spec.containers\[0\]\): unknown field "imag" in io.k8s.api.core.v1.Container\]; if you choose to ignore these errors, turn validation off with --validate=false\n$`},
		{Args: "create --validate=warn -f - --dry-run=server", New: true, Stdin: unknownFields, Want: `(?s)^Warning: unknown field "spec.replica"\nWarning: unknown field "spec.template.spec.containers\[0\].imag"\ndeployment.apps/odd created \(server dry run\)\n$`},
		{Args: "create --validate=false -f - --dry-run=server", Stdin: unknownFields, Want: `^deployment.apps/odd created \(server dry run\)\n$`, Old: `^Warning: unknown field "spec.replica"\nWarning: unknown field "spec.template.spec.containers\[0\].imag"\ndeployment.apps/odd created \(server dry run\)\n$`},
		{Args: "create --validate=false -f -", Stdin: wrongType, Fails: true, Want: `^Error from server \(BadRequest\): error when creating "STDIN": Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32\n$`},
		{Args: "create -f -", Stdin: otherLabels, Fails: true, Want: `^The Deployment "odd" is invalid: spec.template.metadata.labels: Invalid value: \{"app":"two"\}: .selector. does not match template .labels.\n$`,
			Old: `^The Deployment "odd" is invalid: spec.template.metadata.labels: Invalid value: .*: .selector. does not match template .labels.\n$`},
		{Args: "create -f -", Stdin: wrongPod, Fails: true, Want: `(?s)^The Pod "Odd_Name" is invalid: \n\* metadata.name: Invalid value: "Odd_Name": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character \(e.g. 'example.com', regex used for validation is '.*'\)\n` +
			`\* spec.containers\[0\].ports\[0\].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive\n` +
			`\* spec.containers\[1\].name: Duplicate value: "main"\n` +
			`\* spec.containers\[1\].image: Required value\n` +
			`\* spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"\n$`},
		{Args: "create -f - -n no-such-namespace", Stdin: webConfig, Fails: true, Want: `^Error from server \(NotFound\): error when creating "STDIN": namespaces "no-such-namespace" not found\n$`},
		{Args: "create -f -", Stdin: `---
{apiVersion: v1, kind: ConfigMap, metadata: {}}`, Fails: true, Want: `^The ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required\n$`},
		{Args: "create -f -", Stdin: `---
{apiVersion: none.example.com/v1, kind: Sofa, metadata: {name: a}}`, Fails: true, Want: `^error: resource mapping not found for name: "a" namespace: "" from "STDIN": no matches for kind "Sofa" in version "none.example.com/v1"\nensure CRDs are installed first\n$`, Old: `^error: unable to recognize "STDIN": no matches for kind "Sofa" in version "none.example.com/v1"\n$`},
		{Args: "create -f -", Stdin: `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: other}}`, Fails: true, Want: `^Error from server \(NotFound\): error when creating "STDIN": namespaces "other" not found\n$`},
		{Args: "-n $NS create -f -", Stdin: `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: other}}`, Fails: true, Want: `^error: the namespace from the provided object "other" does not match the namespace "$NS". You must pass '--namespace=other' to perform this operation.\n$`},

		{Args: "replace -f -", Stdin: staleConfig, Fails: true, Want: `^Error from server \(Conflict\): error when replacing "STDIN": Operation cannot be fulfilled on configmaps "web": the object has been modified; please apply your changes to the latest version and try again\n$`},
		{Args: "replace -f -", Stdin: `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: nobody}}`, Fails: true, Want: `^Error from server \(NotFound\): error when replacing "STDIN": configmaps "nobody" not found\n$`},
		{Args: "create -f -", Stdin: fixedConfig, Want: `created`},
		{Args: "replace -f -", Stdin: fixedOther, Fails: true, Want: `^The ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when .immutable. is set\n$`},
		{Args: `patch deployment web --type=merge -p {"spec":{"selector":{"matchLabels":{"app":"b"}},"template":{"metadata":{"labels":{"app":"b"}}}}}`, Fails: true,
			Want: `^The Deployment "web" is invalid: spec.selector: Invalid value: \{"matchLabels":\{"app":"b"\}\}: field is immutable\n$`, Old: `^The Deployment "web" is invalid: spec.selector: Invalid value: .*: field is immutable\n$`},
		{Args: `patch deployment web --type=merge -p {"spec":{"replicas":"x"}}`, Fails: true, Want: `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`},
		{Args: `patch deployment web --type=json -p [{"op":"test","path":"/spec/replicas","value":7}]`, Fails: true, Want: `^The request is invalid: the server rejected our request due to an error in our request\n$`, Old: `^The request is invalid\n$`},
		{Args: `patch deployment web --type=json -p [{"op":"remove","path":"/spec/nothing"}]`, Fails: true, Want: `^The request is invalid: the server rejected our request due to an error in our request\n$`, Old: `^The request is invalid\n$`},
		{Args: `patch deployment web -p {"spec":`, Fails: true, Want: `^Error from server \(BadRequest\): unexpected end of JSON input\n$`},
		{Args: `patch deployment nobody -p {"spec":{"replicas":1}}`, Fails: true, Want: `^Error from server \(NotFound\): deployments.apps "nobody" not found\n$`},
		{Args: "label deployment web a=b", Want: `labeled`},
		{Args: "label deployment web a=c", Fails: true, Want: `^error: 'a' already has a value \(b\), and --overwrite is false\n$`},
		{Args: "label deployment web -bad=x", Fails: true, Want: `unknown shorthand flag`},
		{Args: "label deployment web a/b/c=x", Fails: true, Want: `metadata.labels: Invalid value: "a/b/c": a (qualified|valid label key must).*`, Old: `metadata.labels: Invalid value: "a/b/c": a `},
		{Args: "scale deployment web --replicas=-1", Fails: true, Want: `^error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0\n$`},
		{Args: "scale deployment web --current-replicas=4 --replicas=1", Fails: true, Want: `^error: Expected replicas to be 4, was 0\n$`},
		{Args: "scale configmap web --replicas=1", Fails: true, Want: `^Error from server \(NotFound\): the server could not find the requested resource\n$`},
		{Args: "delete configmap nobody", Fails: true, Want: `^Error from server \(NotFound\): configmaps "nobody" not found\n$`},
		{Args: "delete configmap nobody --ignore-not-found", Want: `^$`},
		{Args: "delete namespace kube-system", Fails: true, Want: `^Error from server \(Forbidden\): namespaces "kube-system" is forbidden: this namespace may not be deleted\n$`},
		{Args: "logs nobody", Fails: true, Want: `^(E|e)rror(:| from server) .*pods "nobody" not found`},
		{Args: "exec nobody -- ls", Fails: true, Want: `^Error from server \(NotFound\): pods "nobody" not found\n$`},
		{Args: "wait --for=condition=Available deployment/nobody --timeout=1s", Fails: true, Want: `^Error from server \(NotFound\): deployments.apps "nobody" not found\n$`},
		{Args: "explain nonsense", Fails: true, Want: `^the server doesn't have a resource type "nonsense"\n$`},
		{Args: "explain pod.spec.nonsense", Fails: true, Want: `(?s)^(KIND:  Pod\nVERSION:  v1\n\n)?error: field "nonsense" does not exist\n$`},
		{Args: "get pods --user=stranger", Fails: true, Want: `^error: You must be logged in to the server \((Unauthorized|the server has asked for the client to provide credentials)\)\n$`},
	})
}
