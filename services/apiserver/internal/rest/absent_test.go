package rest_test

import (
	"strings"
	"testing"
)

func TestNoCustomResourcesAreDefined(t *testing.T) {
	d := open(t)
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	if resp, body := d.call(t, "GET", path, ""); resp.StatusCode != 200 || !strings.Contains(body, `"items":[]`) {
		t.Errorf("list: %d %s", resp.StatusCode, body)
	}
	if resp, body := d.call(t, "POST", path, "{}"); resp.StatusCode != 404 {
		t.Errorf("create: %d %s", resp.StatusCode, body)
	}
}

func TestAbsentPaths(t *testing.T) {
	d := open(t)
	for path, want := range map[string]string{
		"/api/v1/namespaces/default/pods/a/nap":   "could not find the requested resource",
		"/api/v1/namespaces/default/sofas/a/exec": "could not find the requested resource",
		"/apis/batch/v1/namespaces/default/sofas": "could not find the requested resource",
		"/api/v1/namespaces/default/pods/a/b/c/d": "could not find the requested resource",
	} {
		if resp, body := d.call(t, "POST", path, ""); resp.StatusCode != 404 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", path, resp.StatusCode, body, want)
		}
	}
}
