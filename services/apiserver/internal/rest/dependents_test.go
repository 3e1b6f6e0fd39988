package rest_test

import (
	"strings"
	"testing"
)

// Who deletes a job and does not say what becomes of its pods is told.
func TestDeleteWarning(t *testing.T) {
	d := open(t)
	const jobs = "/apis/batch/v1/namespaces/default/jobs"
	const job = `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"a","image":"a"}]}}}}`
	const want = `299 - "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"`
	if resp, body := d.call(t, "POST", jobs, job); resp.StatusCode != 201 {
		t.Fatalf("create: %d %s", resp.StatusCode, body)
	}
	for path, warned := range map[string]bool{
		jobs + "/a?dryRun=All": true, jobs + "?dryRun=All": true,
		jobs + "/a?dryRun=All&propagationPolicy=Background": false, jobs + "/a?dryRun=All&orphanDependents=true": false,
	} {
		resp, body := d.call(t, "DELETE", path, "")
		got := resp.Header.Get("Warning")
		if resp.StatusCode != 200 || (got == want) != warned || !warned && got != "" {
			t.Errorf("%s: %d, warning %q, %s", path, resp.StatusCode, got, body)
		}
	}
}

// A binding of the old form answers as pods/binding does.
func TestOldBinding(t *testing.T) {
	d := open(t)
	const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"a"}]}}`
	if resp, body := d.call(t, "POST", "/api/v1/namespaces/default/pods", pod); resp.StatusCode != 201 {
		t.Fatalf("create: %d %s", resp.StatusCode, body)
	}
	const binding = `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"a"},"target":{"kind":"Node","name":"n"}}`
	for _, want := range []struct {
		code int
		text string
	}{{201, `"status":"Success"`}, {409, "pod a is already assigned to node \\\"n\\\""}} {
		if resp, body := d.call(t, "POST", "/api/v1/namespaces/default/bindings", binding); resp.StatusCode != want.code || !strings.Contains(body, want.text) {
			t.Errorf("bind: %d %s, want %d %s", resp.StatusCode, body, want.code, want.text)
		}
	}
}

// Component statuses are read, and clients are told that they should not be.
func TestComponentStatusDoor(t *testing.T) {
	d := open(t)
	resp, body := d.call(t, "GET", "/api/v1/componentstatuses", "")
	if resp.StatusCode != 200 || !strings.Contains(body, `"name":"etcd-0"`) || resp.Header.Get("Warning") != `299 - "v1 ComponentStatus is deprecated in v1.19+"` {
		t.Errorf("list: %d %q %s", resp.StatusCode, resp.Header.Get("Warning"), body)
	}
	if resp, body := d.call(t, "POST", "/api/v1/componentstatuses", "{}"); resp.StatusCode != 405 {
		t.Errorf("create: %d %s", resp.StatusCode, body)
	}
}
