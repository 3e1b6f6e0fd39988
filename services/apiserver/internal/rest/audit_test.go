package rest_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/audit"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rest"
)

// auditLines takes the lines of a log.
type auditLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *auditLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// events returns what was written since it was called last.
func (l *auditLines) events(t *testing.T) []auditv1.Event {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []auditv1.Event
	for _, line := range strings.Split(strings.TrimSpace(l.text.String()), "\n") {
		if line == "" {
			continue
		}
		var e auditv1.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, e)
	}
	l.text.Reset()
	return out
}

// openAudited is a door that writes down what the policy wants.
func openAudited(t *testing.T, policy string) (*door, *auditLines) {
	t.Helper()
	rules := new(auditv1.Policy)
	if err := yaml.UnmarshalStrict([]byte(policy), rules); err != nil {
		t.Fatal(err)
	}
	service, _ := objectstest.New(t)
	out, logger := &auditLines{}, slog.New(slog.DiscardHandler)
	handler, err := rest.New(rest.Config{
		Objects: service, Authenticator: byHeader{}, Agents: &agent{}, Logger: logger,
		Audit: audit.New(rules, out, service.Authorizer(), logger),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &door{server, nil}, out
}

func TestAuditOfACreation(t *testing.T) {
	d, log := openAudited(t, `
rules:
- {level: None, nonResourceURLs: ["/version"]}
- {level: Metadata, resources: [{group: "", resources: [secrets]}]}
- {level: RequestResponse, omitStages: [RequestReceived], omitManagedFields: true}
`)
	const maps = "/api/v1/namespaces/default/configmaps"
	d.call(t, "GET", "/version", "")
	if got := log.events(t); len(got) != 0 {
		t.Errorf("of the version: %+v", got)
	}
	const body = `{"apiVersion":"v1","data":{"a":"1"},"kind":"ConfigMap","metadata":{"name":"c"}}`
	resp, _ := d.call(t, "POST", maps+"?fieldManager=me", body, "User-Agent: tester/1", "Content-Type: application/json", "Accept-Encoding: gzip")
	events := log.events(t)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if string(e.AuditID) != resp.Header.Get("Audit-Id") || e.Kind != "Event" || e.APIVersion != "audit.k8s.io/v1" ||
		e.Level != "RequestResponse" || e.Stage != "ResponseComplete" || e.Verb != "create" || e.RequestURI != maps+"?fieldManager=me" ||
		e.User.Username != "kubernetes-admin" || e.UserAgent != "tester/1" || len(e.SourceIPs) != 1 || e.ResponseStatus.Code != 201 ||
		e.Annotations["authorization.k8s.io/decision"] != "allow" {
		t.Errorf("event %+v", e)
	}
	if want := (auditv1.ObjectReference{Resource: "configmaps", Namespace: "default", Name: "c", APIVersion: "v1"}); *e.ObjectRef != want {
		t.Errorf("object %+v", e.ObjectRef)
	}
	var answer struct{ Metadata map[string]any }
	if err := json.Unmarshal(e.ResponseObject.Raw, &answer); err != nil || answer.Metadata["uid"] == "" || answer.Metadata["managedFields"] != nil {
		t.Errorf("answer %s, %v", e.ResponseObject.Raw, err)
	}
	if string(e.RequestObject.Raw) != body {
		t.Errorf("request %s", e.RequestObject.Raw)
	}
	d.call(t, "POST", "/api/v1/namespaces/default/secrets", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}`, "Content-Type: application/json")
	for _, e := range log.events(t) {
		if e.Level != "Metadata" || e.RequestObject != nil || e.ResponseObject != nil {
			t.Errorf("of a secret: %+v", e)
		}
	}
}

func TestAuditOfRefusals(t *testing.T) {
	d, log := openAudited(t, "{omitStages: [RequestReceived], rules: [{level: Metadata}]}")
	for _, test := range []struct {
		user, method, path string
		code               int32
		reason, decision   string
	}{
		{"eve", "GET", "/api/v1/namespaces/default/pods", 403, "Forbidden", "forbid"},
		{"eve", "GET", "/metrics", 403, "Forbidden", "forbid"},
		{"bad", "GET", "/api/v1/namespaces/default/pods", 401, "Unauthorized", "allow"},
		{"", "GET", "/api/v1/namespaces/default/pods/x", 404, "NotFound", "allow"},
	} {
		d.call(t, test.method, test.path, "", "X-User: "+test.user)
		events := log.events(t)
		if len(events) != 1 {
			t.Errorf("%s %s: %d events", test.user, test.path, len(events))
			continue
		}
		e := events[0]
		if e.ResponseStatus.Code != test.code || string(e.ResponseStatus.Reason) != test.reason || e.Annotations["authorization.k8s.io/decision"] != test.decision {
			t.Errorf("%s %s: %+v", test.user, test.path, e)
		}
		if strings.HasPrefix(test.path, "/metrics") && (e.ObjectRef != nil || e.Verb != "get") {
			t.Errorf("of a path: %+v", e)
		}
	}
}

// Stages come in their order, and a watch is told of when it begins.
func TestAuditStages(t *testing.T) {
	d, log := openAudited(t, "{rules: [{level: Metadata}]}")
	d.call(t, "GET", "/api/v1/namespaces/default/configmaps", "")
	d.call(t, "GET", "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1", "")
	var got []string
	for _, e := range log.events(t) {
		got = append(got, e.Verb+" "+string(e.Stage))
	}
	want := "list RequestReceived, list ResponseComplete, watch RequestReceived, watch ResponseStarted, watch ResponseComplete"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}
