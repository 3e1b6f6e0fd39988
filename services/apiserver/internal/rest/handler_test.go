package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rest"
)

// byHeader takes the user from a header, as a TLS handshake would tell it.
type byHeader struct{}

func (byHeader) Authenticate(r *http.Request) (access.User, error) {
	switch name := r.Header.Get("X-User"); name {
	case "":
		id := pki.AdminIdentity()
		return access.User{Name: id.User, Groups: id.Groups}, nil
	case "bad":
		return access.User{}, errors.New("bad token")
	default:
		return access.User{Name: name}, nil
	}
}

// agent answers with what it was asked.
type agent struct {
	asked *agentv1.LogsRequest
	ended chan struct{} // told when a command or a connection has ended
}

func (a *agent) Ping(context.Context, string, string) (*agentv1.PingResponse, error) {
	return &agentv1.PingResponse{Ready: true}, nil
}

func (a *agent) Usage(context.Context, string, string) (*agentv1.UsageResponse, error) {
	return &agentv1.UsageResponse{Node: &agentv1.Usage{CpuNanoseconds: 1e9}}, nil
}

func (a *agent) Logs(_ context.Context, _, _ string, r *agentv1.LogsRequest, send func([]byte) error) error {
	a.asked = r
	return send([]byte("a line\n"))
}

type door struct {
	*httptest.Server
	agent *agent
}

func open(t testing.TB) *door {
	t.Helper()
	return openOver(t, objectstest.NewReplica())
}

func openOver(t testing.TB, replica *objectstest.Replica) *door {
	t.Helper()
	service, _ := objectstest.NewOver(t, replica)
	logs := &agent{ended: make(chan struct{}, 16)}
	handler, err := rest.New(rest.Config{
		Objects: service, Authenticator: byHeader{}, Agents: logs, Version: "v1.2.3", Commit: "abc", Date: "2026-11-21T14:00:00Z", Logger: slog.New(slog.DiscardHandler),
		Extra: map[string]http.Handler{"/boom/": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &door{server, logs}
}

// call makes a request; headers are "Name: value".
func (d *door) call(t testing.TB, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := d.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	out, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(out)
}

const cm = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"y"}}`

func TestAnswers(t *testing.T) {
	d := open(t)
	const cms = "/api/v1/namespaces/default/configmaps"
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		want                     string
	}{
		{"create", "POST", cms, cm, nil, 201, `"uid":"`},
		{"create again", "POST", cms, cm, nil, 409, `configmaps \"a\" already exists`},
		{"create yaml", "POST", cms, "kind: ConfigMap\nmetadata: {name: b}\n", []string{"Content-Type: application/yaml"}, 201, `"name":"b"`},
		{"get", "GET", cms + "/a", "", nil, 200, `"kind":"ConfigMap","apiVersion":"v1"`},
		{"get yaml", "GET", cms + "/a", "", []string{"Accept: application/yaml"}, 200, "x: \"y\""},
		{"get pretty", "GET", cms + "/a?pretty=true", "", nil, 200, "\n  \"kind\": \"ConfigMap\""},
		{"get none", "GET", cms + "/none", "", nil, 404, `configmaps \"none\" not found`},
		{"list", "GET", cms, "", nil, 200, `"kind":"ConfigMapList"`},
		{"list all", "GET", "/api/v1/configmaps", "", nil, 200, `"resourceVersion"`},
		{"table", "GET", cms, "", []string{"Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}, 200, `"columnDefinitions":[{"name":"Name"`},
		{"metadata", "GET", cms, "", []string{"Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}, 200, `"kind":"PartialObjectMetadataList"`},
		{"unknown form", "GET", cms, "", []string{"Accept: text/html"}, 406, "only the following media types are accepted"},
		{"unknown body", "POST", cms, cm, []string{"Content-Type: text/plain"}, 415, "the body of the request was in an unknown format"},
		{"unknown patch", "PATCH", cms + "/a", "{}", []string{"Content-Type: application/apply-patch+cbor"}, 415, "unknown format"},
		{"bad method", "POST", cms + "/a", cm, nil, 405, "the server does not allow this method on the requested resource"},
		{"bad path", "GET", "/apis/nothing/v1/things", "", nil, 404, "the server could not find the requested resource"},
		{"bad selector", "GET", cms + "?labelSelector=a==b==c", "", nil, 400, "unable to parse requirement"},
		{"wrong type", "POST", cms, `{"metadata":{"name":"c"},"data":{"x":1}}`, nil, 400, `ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string`},
		{"wrong kind", "POST", cms, `{"apiVersion":"v1","kind":"Pod"}`, nil, 400, "cannot be handled as a ConfigMap"},
		{"unknown field", "POST", cms + "?fieldValidation=Strict", `{"metadata":{"name":"c"},"dada":{}}`, nil, 400, `strict decoding error: unknown field \"dada\"`},
		{"twice", "POST", cms + "?fieldValidation=Strict", `{"metadata":{"name":"c"},"data":{},"data":{}}`, nil, 400, `duplicate field \"data\"`},
		{"other name", "PUT", cms + "/b", cm, nil, 400, "the name of the object (a) does not match the name on the URL (b)"},
		{"update none", "PUT", cms + "/z", strings.Replace(cm, `"a"`, `"z"`, 1), nil, 404, `not found`},
		{"too large", "POST", cms, `{"x":"` + strings.Repeat("x", 4<<20) + `"}`, nil, 413, "Request entity too large: limit is 3145728"},
		{"bad dry run", "POST", cms + "?dryRun=Some", cm, nil, 422, `CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"`},
		{"forbidden", "GET", cms, "", []string{"X-User: eve"}, 403, `configmaps is forbidden: User \"eve\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"`},
		{"unauthorized", "GET", cms, "", []string{"X-User: bad"}, 401, `"reason":"Unauthorized"`},
		{"anonymous", "GET", cms, "", []string{"X-User: system:anonymous"}, 403, `configmaps is forbidden: User \"system:anonymous\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"`},
		{"a path", "GET", "/metrics", "", []string{"X-User: eve"}, 403, `forbidden: User \"eve\" cannot get path \"/metrics\"`},
		{"a kind that is not there", "GET", "/apis/example.com/v1/things", "", []string{"X-User: eve"}, 403, `things.example.com is forbidden: User \"eve\" cannot list resource \"things\" in API group \"example.com\" at the cluster scope`},
		{"anonymous health", "GET", "/readyz", "", []string{"X-User: system:anonymous"}, 200, "ok"},
		{"panic", "GET", "/boom/", "", nil, 500, `"reason":"InternalError"`},
		{"delete", "DELETE", cms + "/b", "", nil, 200, `"status":"Success"`},
		{"delete collection", "DELETE", cms, "", nil, 200, `"name":"a"`},
		{"empty list", "GET", cms, "", nil, 200, `"items":[]`},
		{"version", "GET", "/version", "", nil, 200, `"gitVersion":"v1.36.0+muster.v1.2.3"`},
		{"build date", "GET", "/version", "", nil, 200, `"buildDate":"2026-11-21T14:00:00Z"`},
		{"groups", "GET", "/apis", "", nil, 200, `"groupVersion":"apps/v1"`},
		{"resources", "GET", "/apis/apps/v1", "", nil, 200, `"name":"deployments/scale"`},
		{"aggregated", "GET", "/apis", "", []string{"Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}, 200, `"kind":"APIGroupDiscoveryList"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, body := d.call(t, test.method, test.path, test.body, test.headers...)
			if response.StatusCode != test.code || !strings.Contains(body, test.want) {
				t.Errorf("%d %s\nwant %d %s", response.StatusCode, body[:min(len(body), 600)], test.code, test.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	d := open(t)
	response, body := d.call(t, "POST", "/api/v1/namespaces/default/configmaps", `{"metadata":{"name":"a"},"dada":{}}`)
	if response.StatusCode != 201 || response.Header.Get("Warning") != `299 - "unknown field \"dada\""` {
		t.Errorf("%d, warning %q: %s", response.StatusCode, response.Header.Get("Warning"), body)
	}
}

// A list that is large is compressed, and is the same then.
func TestGzip(t *testing.T) {
	d := open(t)
	large := strings.Replace(cm, `"y"`, `"`+strings.Repeat("y", 200<<10)+`"`, 1)
	if response, body := d.call(t, "POST", "/api/v1/namespaces/default/configmaps", large, "Accept-Encoding: identity"); response.StatusCode != 201 {
		t.Fatal(body)
	}
	zipped, body := d.call(t, "GET", "/api/v1/configmaps", "")
	if !zipped.Uncompressed || !json.Valid([]byte(body)) {
		t.Errorf("compressed %v, %d bytes", zipped.Uncompressed, len(body))
	}
	_, plain := d.call(t, "GET", "/api/v1/configmaps", "", "Accept-Encoding: identity")
	if !bytes.Equal(bytes.TrimSpace([]byte(plain)), bytes.TrimSpace([]byte(body))) {
		t.Error("compressed and plain differ")
	}
}
