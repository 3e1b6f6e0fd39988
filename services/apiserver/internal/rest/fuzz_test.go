package rest_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rest"
)

// fuzzed is a door to a few objects. It is made anew from time to time, because
// what is fuzzed creates more.
type fuzzed struct {
	handler *rest.Handler
	calls   int
}

func (d *fuzzed) serve(t *testing.T, request *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	if d.calls%500 == 0 {
		service, _ := objectstest.New(t)
		handler, err := rest.New(rest.Config{Objects: service, Authenticator: byHeader{}, Agents: &agent{}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		d.handler = handler
		for path, body := range map[string]string{
			configMaps:                        cm,
			"/api/v1/namespaces/default/pods": `{"metadata":{"name":"a"},"spec":{"containers":[{"name":"x","image":"y"}]}}`,
			"/apis/apps/v1/namespaces/default/deployments": `{"metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"a":"b"}},
				"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"x","image":"y"}]}}}}`,
		} {
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, httptest.NewRequest("POST", path, strings.NewReader(body)))
			if answer.Code != http.StatusCreated {
				t.Fatal(answer.Body)
			}
		}
	}
	d.calls++
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, request)
	if answer.Code >= 500 && answer.Code != http.StatusGatewayTimeout {
		t.Errorf("%s %s: %d %s", request.Method, request.URL, answer.Code, answer.Body)
	}
	return answer
}

// future matches queries for revisions that are not there yet, which are waited for.
var future = regexp.MustCompile(`ersion=.?.?.?[0-9]{2}`)

func FuzzRequest(f *testing.F) {
	for _, path := range []string{
		"/", "/api", "/apis", "/apis/apps", "/api/v1", configMaps, configMaps + "/a", "/api/v1/pods", "/api/v1/namespaces/default/status", "/api/v1/watch/pods",
		"/api/v1/namespaces/default/pods/a/status", "/apis/apps/v1/namespaces/default/deployments/a/scale", "//api//v1", "/openapi/v3", "/version", "/healthz",
	} {
		f.Add("GET", path, "limit=1&continue=eyJydiI6MSwibmFtZSI6ImEifQ", "application/json;as=Table;v=v1;g=meta.k8s.io", "", "")
	}
	for _, query := range []string{
		"labelSelector=a+in+(b,c),!d,e!%3Df", "fieldSelector=metadata.name%3Da,status.phase!%3DRunning", "limit=-1", "resourceVersion=0&resourceVersionMatch=Exact",
		"timeout=1ns", "pretty=1&includeObject=Object", "dryRun=All&fieldManager=x&fieldValidation=Strict",
		"gracePeriodSeconds=-1&propagationPolicy=Orphan", "continue=e30", "sendInitialEvents=true", "%zz", "a=b;c=d",
	} {
		f.Add("GET", "/api/v1/pods", query, "application/vnd.kubernetes.protobuf", "", "")
		f.Add("DELETE", configMaps, query, "application/yaml", "", "{}")
		f.Add("POST", configMaps, query, "", "application/yaml", "metadata: {generateName: x-}")
		f.Add("PUT", configMaps+"/a", query, "*/*;q=0.1,application/json;pretty=1", "application/json", cm)
	}
	var d fuzzed
	f.Fuzz(func(t *testing.T, method, path, query, accept, contentType, body string) {
		request, err := http.NewRequest(method, "http://x/", strings.NewReader(body))
		if err != nil || strings.Contains(query, "atch") || strings.Contains(path, "/watch") || future.MatchString(query) {
			return // watches, and what waits for a revision, go on
		}
		request.URL = &url.URL{Scheme: "http", Host: "x", Path: path, RawQuery: query}
		request.Header.Set("Accept", accept)
		request.Header.Set("Content-Type", contentType)
		d.serve(t, request)
	})
}

func FuzzPatch(f *testing.F) {
	for _, patch := range []string{
		`{"metadata":{"labels":{"a":"b"},"annotations":null}}`, `{"data":{"x":null}}`, `[{"op":"replace","path":"/data/x","value":"z"}]`,
		`[{"op":"copy","from":"/spec","path":"/spec/template"}]`, `[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"z"}}]`,
		`{"spec":{"template":{"spec":{"containers":[{"name":"x","$patch":"delete"},{"$retainKeys":["name"],"name":"y"}],"$setElementOrder/containers":[{"name":"y"}]}}}}`,
		`{"spec":{"$patch":"replace"}}`, `{"$deleteFromPrimitiveList/finalizers":["x"]}`, `{"metadata":{"$setElementOrder/finalizers":["a",1]}}`, `{"spec":null}`, `[]`, `{`,
		"apiVersion: v1\nkind: ConfigMap\ndata: {x: z}\n", `[{"op":"test","path":"","value":1}]`, `[{"op":"remove","path":"/metadata"}]`,
	} {
		for how := range byte(12) {
			f.Add(how, patch)
		}
	}
	types := []string{"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"}
	paths := []string{configMaps + "/a", "/api/v1/namespaces/default/pods/a", "/apis/apps/v1/namespaces/default/deployments/a"}
	var d fuzzed
	f.Fuzz(func(t *testing.T, how byte, patch string) {
		media, path := types[how%4], paths[how/4%3]
		if media == types[3] {
			path += "?fieldManager=fuzz"
		}
		request := httptest.NewRequest("PATCH", path, strings.NewReader(patch))
		request.Header.Set("Content-Type", media)
		d.serve(t, request)
	})
}
