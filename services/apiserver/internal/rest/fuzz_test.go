package rest_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rest"
)

// fuzzed is a door to a few objects.
type fuzzed struct {
	handler *rest.Handler
	replica *objectstest.Replica
	calls   int
}

// fuzzedLife is how many requests a door is made anew after: what is fuzzed creates
// more objects.
const fuzzedLife = 500

// fill has the door be to one object, called a, of each of the kinds in targets.
func (d *fuzzed) fill(t *testing.T) {
	t.Helper()
	if d.calls++; d.calls%fuzzedLife != 1 {
		return
	}
	d.replica = objectstest.NewReplica()
	service, _ := objectstest.NewOver(t, d.replica)
	handler, err := rest.New(rest.Config{Objects: service, Authenticator: byHeader{}, Agents: &agent{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d.handler = handler
	for _, target := range targets {
		request := httptest.NewRequest("POST", target.path, strings.NewReader(target.manifest))
		request.Header.Set("Content-Type", "application/yaml")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if answer.Code != http.StatusCreated {
			t.Fatal(answer.Body)
		}
	}
}

// serve answers a request, and fails where the server broke or did something of what
// it refused.
func (d *fuzzed) serve(t *testing.T, request *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	before := d.replica.Store().View().Revision()
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, request)
	if answer.Code < http.StatusBadRequest || answer.Code == http.StatusGatewayTimeout {
		return answer
	}
	var status metav1.Status
	readable := json.Unmarshal(answer.Body.Bytes(), &status) == nil
	if readable && int(status.Code) != answer.Code && status.Kind == "Status" {
		t.Errorf("%s %s: %d %s", request.Method, request.URL, answer.Code, answer.Body)
	}
	if answer.Code >= http.StatusInternalServerError && !answeredSo(status) {
		t.Errorf("%s %s: %d %s", request.Method, request.URL, answer.Code, answer.Body)
	}
	if after := d.replica.Store().View().Revision(); after != before {
		t.Errorf("%s %s was refused (%d %s), and something done", request.Method, request.URL, answer.Code, answer.Body)
	}
	return answer
}

// answeredSo tells whether a request that is refused as if the server had broken is
// refused so by Kubernetes, too: what it has no name for, and what is not there to
// pass a request on to.
func answeredSo(status metav1.Status) bool {
	return status.Reason == metav1.StatusReasonUnknown && status.Message != "" ||
		status.Reason == metav1.StatusReasonServiceUnavailable && strings.Contains(status.Message, "for service") ||
		strings.Contains(status.Message, "no preferred addresses found")
}

// future matches queries for revisions that are not there yet, which are waited for.
var future = regexp.MustCompile(`ersion=.?.?.?[0-9]{2}`)

// patience is how long a client waits that asked for what goes on.
const patience = 5 * time.Millisecond

func FuzzRequest(f *testing.F) {
	for _, path := range []string{
		"/", "/api", "/apis", "/apis/apps", "/api/v1", configMaps, configMaps + "/a", "/api/v1/pods", "/api/v1/namespaces/default/status", "/api/v1/watch/pods",
		"/api/v1/namespaces/default/pods/a/status", "/apis/apps/v1/namespaces/default/deployments/a/scale", "//api//v1", "/openapi/v3", "/version", "/healthz",
		"/api/v1/namespaces/default/services/a:80/proxy/x/../y", "/api/v1/nodes/a/proxy/metrics", "/api/v1/namespaces/default/pods/a/log", "/api/v1/namespaces/default/pods/a/exec",
	} {
		f.Add("GET", path, "limit=1&continue=eyJydiI6MSwibmFtZSI6ImEifQ", "application/json;as=Table;v=v1;g=meta.k8s.io", "", "")
	}
	for _, query := range []string{
		"labelSelector=a+in+(b,c),!d,e!%3Df", "fieldSelector=metadata.name%3Da,status.phase!%3DRunning", "limit=-1", "resourceVersion=0&resourceVersionMatch=Exact",
		"timeout=1ns", "pretty=1&includeObject=Object", "dryRun=All&fieldManager=x&fieldValidation=Strict", "watch=1&resourceVersion=1&allowWatchBookmarks=true",
		"gracePeriodSeconds=-1&propagationPolicy=Orphan", "continue=e30", "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "%zz", "a=b;c=d",
		"tailLines=-1&sinceTime=x&container=x&follow=1", "command=a&stdin=1&tty=true",
	} {
		f.Add("GET", "/api/v1/pods", query, "application/vnd.kubernetes.protobuf", "", "")
		f.Add("DELETE", configMaps, query, "application/yaml", "", `{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"x"}}`)
		f.Add("POST", configMaps, query, "", "application/yaml", "metadata: {generateName: x-}")
		f.Add("PUT", configMaps+"/a", query, "*/*;q=0.1,application/json;pretty=1", "application/json", cm)
	}
	for _, target := range targets {
		f.Add("POST", target.path+"?dryRun=All", "", "application/yaml", "application/yaml", strings.ReplaceAll(target.manifest, "name: a", "name: b"))
		f.Add("PUT", target.path+"/a", "", accepted, "application/yaml", target.manifest)
		f.Add("DELETE", target.path+"/a", "dryRun=All", accepted, "", "")
	}
	var d fuzzed
	f.Fuzz(func(t *testing.T, method, path, query, accept, contentType, body string) {
		request, err := http.NewRequest(method, "http://x/", strings.NewReader(body))
		if err != nil {
			return
		}
		d.fill(t)
		request.URL = &url.URL{Scheme: "http", Host: "x", Path: path, RawQuery: query}
		request.Header.Set("Accept", accept)
		request.Header.Set("Content-Type", contentType)
		if goesOn := strings.Contains(query+path, "watch") || future.MatchString(query) || future.MatchString(body); goesOn {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			request = request.WithContext(ctx)
		}
		d.serve(t, request)
	})
}

// accepted is what kubectl get asks for.
const accepted = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"

var patchTypes = []string{"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"}

// patches are as clients send them, and some that are wrong.
var patches = []string{
	`{"metadata":{"labels":{"a":"b"},"annotations":null}}`, `{"data":{"x":null}}`, `[{"op":"replace","path":"/data/x","value":"z"}]`,
	`[{"op":"copy","from":"/spec","path":"/spec/template"}]`, `[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"z"}}]`,
	`{"spec":{"template":{"spec":{"containers":[{"name":"x","$patch":"delete"},{"$retainKeys":["name"],"name":"y"}],"$setElementOrder/containers":[{"name":"y"}]}}}}`,
	`{"spec":{"$patch":"replace"}}`, `{"$deleteFromPrimitiveList/finalizers":["x"]}`, `{"metadata":{"$setElementOrder/finalizers":["a",1]}}`, `{"spec":null}`, `[]`, `{`,
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, managedFields: []}\ndata: {x: z}\n", `[{"op":"test","path":"","value":1}]`, `[{"op":"remove","path":"/metadata"}]`,
	`{"spec":{"containers":[{"image":"y"}]}}`, `{"spec":{"replicas":3}}`, `{"spec":{"ports":[{"port":80,"$patch":"delete"}]}}`, `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`,
	`{"metadata":{"managedFields":[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{".":{}}}}]}}`,
	`{"metadata":{"managedFields":[{}]}}`, `{"metadata":{"managedFields":[{"manager":"x","operation":"Apply","fieldsV1":{"k:{":{}}}]}}`,
	`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"u","controller":true}],"finalizers":["a/b"],"resourceVersion":"1","uid":"x"}}`,
}

// Whatever patch of whatever type is made to whatever kind, it is taken or refused.
func FuzzPatch(f *testing.F) {
	for i, patch := range patches {
		for how := range patchTypes {
			f.Add(byte(how), byte(i), false, patch)
		}
	}
	for i, target := range targets {
		for how := range patchTypes {
			f.Add(byte(how), byte(i), how%2 == 0, target.manifest)
		}
	}
	var d fuzzed
	f.Fuzz(func(t *testing.T, how, target byte, status bool, patch string) {
		d.fill(t)
		path := targets[int(target)%len(targets)].path + "/a"
		if status {
			path += "/status"
		}
		request := httptest.NewRequest("PATCH", path+"?fieldManager=fuzz&dryRun=All", strings.NewReader(patch))
		request.Header.Set("Content-Type", patchTypes[int(how)%len(patchTypes)])
		d.serve(t, request)
	})
}

// What one manager applies, another one changes and a third one sends back, with the
// managed fields of the answer or others, is taken or refused each time.
func FuzzApply(f *testing.F) {
	for i, target := range targets {
		f.Add(byte(i), target.manifest, patches[i%len(patches)], `[{"manager":"x","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{"f:a":{}}}}}]`)
	}
	var d fuzzed
	f.Fuzz(func(t *testing.T, target byte, first, second, managed string) {
		d.fill(t)
		path := targets[int(target)%len(targets)].path
		d.send(t, "PATCH", path+"/b?fieldManager=one", patchTypes[3], first)
		d.send(t, "PATCH", path+"/b?fieldManager=two&force=true", patchTypes[3], second)
		answer := d.send(t, "PATCH", path+"/b?fieldManager=three", patchTypes[1], second)
		var object map[string]any
		if answer.Code == http.StatusOK && json.Unmarshal(answer.Body.Bytes(), &object) == nil {
			metadata, _ := object["metadata"].(map[string]any)
			metadata["managedFields"] = json.RawMessage(managed)
			if body, err := json.Marshal(object); err == nil {
				d.send(t, "PUT", path+"/b?fieldManager=four", "application/json", string(body))
			}
			d.send(t, "PATCH", path+"/b?fieldManager=one", patchTypes[3], first)
		}
		d.send(t, "PATCH", path+"/b", patchTypes[1], `{"metadata":{"finalizers":null}}`)
		d.send(t, "DELETE", path+"/b?gracePeriodSeconds=0", "", "")
	})
}

func (d *fuzzed) send(t *testing.T, method, path, contentType, body string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Content-Type", contentType)
	return d.serve(t, request)
}
