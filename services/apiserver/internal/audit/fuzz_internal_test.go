package audit

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
)

// A policy is refused or says of every request how much is written down.
func FuzzPolicy(f *testing.F) {
	const head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
	for _, rules := range []string{
		"rules: [{level: Metadata}]", "omitStages: [RequestReceived]\nrules:\n- {level: RequestResponse, resources: [{group: '', resources: [pods, pods/*, '*/status']}]}\n",
		"rules:\n- {level: None, users: [a], verbs: [get], nonResourceURLs: ['/api*', '*']}\n- {level: Request, namespaces: [''], omitManagedFields: true}\n",
		"rules: [{level: Loud}]", "rules: [{level: None, nonResourceURLs: ['']}]", "rules: [null]", "rules: {}", "rules: &a [*a]", "",
	} {
		f.Add(head+rules, "get", "pods", "log", "/api")
	}
	f.Fuzz(func(t *testing.T, text, verb, resource, sub, path string) {
		policy, err := readPolicy([]byte(text))
		if err != nil {
			return
		}
		user := access.User{Name: verb, Groups: []string{resource}}
		for _, r := range []*auth.Request{
			{User: user, Verb: verb, Resource: schema.GroupResource{Resource: resource}, Subresource: sub, Namespace: sub, Name: path},
			{User: user, Verb: verb, Path: path},
		} {
			if c := configOf(policy, r); !slices.Contains(levels, c.level) {
				t.Errorf("%+v is written down at %q", r, c.level)
			}
		}
		if slices.Contains(policy.OmitStages, auditv1.Stage("")) {
			t.Error("a stage without a name is left out")
		}
	})
}
