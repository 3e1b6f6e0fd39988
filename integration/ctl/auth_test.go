//go:build root

package ctl_test

import (
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

const roles = `---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: editor}, rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, update]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: editors}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: editor}, subjects: [{kind: User, name: jane, apiGroup: rbac.authorization.k8s.io}]}
`

// personal is how a person asks for a certificate.
const personal = `---
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $NS}
spec: {signerName: kubernetes.io/kube-apiserver-client, usages: [client auth], request: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIWk1JR0FBZ0VBTUI0eERUQUxCZ05WQkFNTUJHcGhibVV4RFRBTEJnTlZCQW9NQkdSbGRuTXdXVEFUQmdjcQpoa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVFaT2xrdmNPRnVscEIrMUhjV3IvL3NDYnp6N1Bja3ZvT1A1ZnZ2ClBFQ1VLOGs5T0VrNVpNSm9uTWQzZ2txRzBMRjB5eWZGWkRiN3NpYjRRUytyLzdCRW9BQXdDZ1lJS29aSXpqMEUKQXdJRFNBQXdSUUloQUtXR0J4ellWNk93YWdJVjQ5R3k3a0J0eHVLRktKaGNiLzVDeGNPSXNzQVNBaUJ5dmQ3aAplV2kxNXFMRnZta2RZbmlIQWJ1L01Jb0pZV3pCM2JCaHE5U3BMQT09Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=}
`

const moreRoles = `---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: editor, namespace: $NS}, rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]}
`

// testAuth: who one is and what one may, and certificates.
func testAuth(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "auth whoami", New: true, Want: `^ATTRIBUTE  VALUE\nUsername  kubernetes-admin\nGroups  \[system:masters system:authenticated\]\n`},
		{Args: "auth whoami --as=jane --as-group=devs -o jsonpath={.status.userInfo.username}:{.status.userInfo.groups}", New: true, Want: `^jane:\["devs","system:authenticated"\]$`},
		{Args: "auth can-i '*' '*'", Want: `^(Warning: .*\n)?yes\n$`},
		{Args: "auth can-i get pods --as=jane", Fails: true, Want: `^no\n$`},
		{Args: "auth can-i get pods --as=jane -q", Fails: true, Want: `^$`},
		{Args: "auth can-i list nodes --as=jane", Fails: true, Want: `(?s)^Warning: resource 'nodes' is not namespace scoped\n.*no\n$`},
		{Args: "auth can-i get /version --as=jane", Want: `^yes\n$`},
		{Args: "auth can-i get /logs --as=jane", Fails: true, Want: `^no\n$`},
		{Args: "auth can-i get nonsense", Want: `(?s)^Warning: the server doesn't have a resource type '?nonsense'?\n.*yes\n$`},
		{Args: "auth reconcile -f - --dry-run=client", Stdin: roles, Want: `^role.rbac.authorization.k8s.io/editor reconciled( \(dry run\))?\n(\s.*\n)*rolebinding.rbac.authorization.k8s.io/editors reconciled`},
		{Args: "apply -f -", Stdin: roles, Want: `created`},
		{Args: "auth can-i list configmaps --as=jane", Want: `^yes\n$`, Retry: patience},
		{Args: "auth can-i --list --as=jane", Want: `(?s)^Resources  Non-Resource URLs  Resource Names  Verbs\n.*configmaps  \[\]  \[\]  \[get list update\]\n`},
		{Args: "get configmaps --as=jane -o name", Want: `^configmap/kube-root-ca.crt\n$`},
		{Args: "get configmaps -A --as=jane", Fails: true, Want: `^Error from server \(Forbidden\): configmaps is forbidden: User "jane" cannot list resource "configmaps" in API group "" at the cluster scope\n$`},
		{Args: "get secrets --as=jane", Fails: true, Want: `^Error from server \(Forbidden\): secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "$NS"\n$`},
		{Args: "get secret a --as=jane", Fails: true, Want: `^Error from server \(Forbidden\): secrets "a" is forbidden: User "jane" cannot get resource "secrets" in API group "" in the namespace "$NS"\n$`},
		{Args: "create configmap a --as=jane --from-literal=a=1", Fails: true, Want: `configmaps is forbidden: User "jane" cannot create resource "configmaps" in API group "" in the namespace "$NS"\n$`},
		{Args: "delete configmap kube-root-ca.crt --as=jane", Fails: true, Want: `^Error from server \(Forbidden\): configmaps "kube-root-ca.crt" is forbidden: User "jane" cannot delete resource "configmaps" in API group "" in the namespace "$NS"\n$`},
		{Args: "scale deployment a --replicas=1 --as=jane", Fails: true, Want: `^Error from server \(Forbidden\): deployments.apps "a" is forbidden: User "jane" cannot (get|patch) resource "deployments(/scale)?" in API group "apps" in the namespace "$NS"\n$`},
		{Args: "create role more --verb=get --resource=secrets --as=jane", Fails: true, Want: `roles.rbac.authorization.k8s.io is forbidden: User "jane" cannot create resource "roles" in API group "rbac.authorization.k8s.io" in the namespace "$NS"\n$`},
		{Args: "create rolebinding granting --clusterrole=admin --user=joe", Want: `created`},
		{Args: "create role more --verb=delete --resource=nodes --as=joe", Fails: true, Want: `roles.rbac.authorization.k8s.io "more" is forbidden: user "joe" \(groups=\["system:authenticated"\]\) is attempting to grant RBAC permissions not currently held:\n\{APIGroups:\[""\], Resources:\["nodes"\], Verbs:\["delete"\]\}\n$`, Retry: patience},
		{Args: "get pods --as=jane --as-uid=1", New: true, Fails: true, Want: `pods is forbidden: User "jane" cannot list resource "pods"`},
		{Args: "get configmaps --as=joe --as-group=system:masters -n kube-system -o name", Want: `configmap/`},
		{Args: "auth reconcile -f -", Stdin: moreRoles, Want: `^role.rbac.authorization.k8s.io/editor reconciled\n`},
		{Args: "get role editor -o jsonpath={.rules[*].resources}", Want: `^\["configmaps"\] \["secrets"\]$`},
		{Args: "auth can-i get secrets --as=jane", Want: `^yes\n$`, Retry: patience},

		{Args: "apply -f -", Stdin: personal, Want: `^certificatesigningrequest.certificates.k8s.io/$NS created\n$`},
		{Args: "get csr $NS", Want: `^NAME  AGE  SIGNERNAME  REQUESTOR  REQUESTEDDURATION  CONDITION\n$NS  \d+s  kubernetes.io/kube-apiserver-client  kubernetes-admin  <none>  Pending\n$`},
		{Args: "certificate approve $NS", Want: `^certificatesigningrequest.certificates.k8s.io/$NS approved\n$`},
		{Args: "get csr $NS", Want: `\n$NS  \d+s  kubernetes.io/kube-apiserver-client  kubernetes-admin  <none>  Approved,Issued\n$`, Retry: patience},
		{Args: "certificate deny $NS", Fails: true, Want: `^error: certificate signing request "$NS" is already Approved\n$`},
		{Args: "certificate approve nobody", Fails: true, Want: `^Error from server \(NotFound\): certificatesigningrequests.certificates.k8s.io "nobody" not found\n$`},
		{Args: "delete csr $NS", Want: `deleted`},
		{Args: "apply -f -", Stdin: personal, Want: `created`},
		{Args: "certificate deny $NS", Want: `^certificatesigningrequest.certificates.k8s.io/$NS denied\n$`},
		{Args: "get csr $NS", Want: `<none>  Denied\n$`},
		{Args: "get csr $NS -o jsonpath={.status.conditions[0].reason}", Want: `^KubectlDeny$`},
		{Args: "delete csr $NS", Want: `deleted`},
	})
}
