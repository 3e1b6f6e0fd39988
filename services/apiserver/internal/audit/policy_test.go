package audit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
)

func load(t *testing.T, text string) (*auditv1.Policy, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadPolicy(file)
}

// The rules of Kubernetes' documentation, the first that matches counting.
func TestLevels(t *testing.T) {
	policy, err := load(t, `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: RequestResponse, resources: [{group: "", resources: [pods]}]}
- {level: Metadata, resources: [{group: "", resources: [pods/log, pods/status]}]}
- {level: None, resources: [{group: "", resources: [configmaps], resourceNames: [controller-leader]}]}
- {level: None, users: ["system:kube-proxy"], verbs: [watch], resources: [{group: "", resources: [endpoints, services]}]}
- {level: None, userGroups: ["system:authenticated"], nonResourceURLs: ["/api*", "/version"]}
- {level: Request, resources: [{group: "", resources: [configmaps]}], namespaces: [kube-system]}
- {level: Metadata, resources: [{group: "", resources: [secrets, configmaps]}]}
- {level: Request, resources: [{group: apps}, {group: "*", resources: ["*/scale", "jobs/*"]}]}
- {level: Metadata, verbs: [delete]}
`)
	if err != nil {
		t.Fatal(err)
	}
	user := access.User{Name: "ann", Groups: []string{"system:authenticated"}}
	proxy := access.User{Name: "system:kube-proxy"}
	for _, test := range []struct {
		user                                        access.User
		verb, group, resource, sub, namespace, name string
		path                                        string
		want                                        auditv1.Level
	}{
		{user, "get", "", "pods", "", "default", "p", "", "RequestResponse"},
		{user, "get", "", "pods", "log", "default", "p", "", "Metadata"},
		{user, "create", "", "pods", "exec", "default", "p", "", "None"},
		{user, "get", "", "configmaps", "", "default", "controller-leader", "", "None"},
		{user, "get", "", "configmaps", "", "kube-system", "x", "", "Request"},
		{user, "get", "", "configmaps", "", "default", "x", "", "Metadata"},
		{proxy, "watch", "", "services", "", "", "", "", "None"},
		{proxy, "delete", "", "services", "", "", "", "", "Metadata"},
		{user, "get", "", "", "", "", "", "/api/v1", "None"},
		{user, "get", "", "", "", "", "", "/metrics", "None"},
		{user, "delete", "", "", "", "", "", "/metrics", "Metadata"},
		{user, "list", "apps", "deployments", "", "default", "", "", "Request"},
		{user, "update", "example.com", "things", "scale", "default", "x", "", "Request"},
		{user, "update", "batch", "jobs", "status", "default", "x", "", "Request"},
		{user, "update", "batch", "jobs", "", "default", "x", "", "Request"},
		{user, "update", "batch", "cronjobs", "", "default", "x", "", "None"},
	} {
		c := configOf(policy, &auth.Request{User: test.user, Verb: test.verb, Resource: schema.GroupResource{Group: test.group, Resource: test.resource},
			Subresource: test.sub, Namespace: test.namespace, Name: test.name, Path: test.path})
		if c.level != test.want {
			t.Errorf("%s %s %s/%s %s/%s %s: %s, want %s", test.user.Name, test.verb, test.resource, test.sub, test.namespace, test.name, test.path, c.level, test.want)
		}
		if c.level != "None" && !c.omits(auditv1.StageRequestReceived) {
			t.Errorf("%s %s: RequestReceived is not left out", test.verb, test.resource)
		}
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	const head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
	for text, want := range map[string]string{
		"kind: Policy\nrules: [{level: None}]": `not a Policy of "audit.k8s.io/v1"`,
		head:                                   "loaded illegal policy with 0 rules",
		head + "rules: [{}]":                   "rules[0].level: Required value",
		head + "rules: [{level: All}]":         `rules[0].level: Unsupported value: "All"`,
		head + "rules: [{level: None, nonResourceURLs: [x]}]":                     "non-resource URL rules must begin with a '/' character",
		head + "rules: [{level: None, nonResourceURLs: ['/a*b']}]":                "wildcards '*' must be the final character of the rule",
		head + "rules: [{level: None, omitStages: [x]}]":                          "allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic",
		head + "rules: [{level: None, resources: [{group: 'apps/v1'}]}]":          "rules[0].resources.group: Invalid value",
		head + "rules: [{level: None, user: ann}]":                                "unknown field",
		head + "rules: [{level: None, namespaces: [a], nonResourceURLs: ['/a']}]": "rules cannot apply to both regular resources and non-resource URLs",
	} {
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
