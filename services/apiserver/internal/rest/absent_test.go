package rest_test

import (
	"strings"
	"testing"
)

func TestNoCustomResourcesAreDefined(t *testing.T) {
	d := open(t)
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	if resp, body := d.call(t, "GET", path, "", "X-User: root"); resp.StatusCode != 200 || !strings.Contains(body, `"items":[]`) {
		t.Errorf("list: %d %s", resp.StatusCode, body)
	}
	if resp, body := d.call(t, "POST", path, "{}", "X-User: root"); resp.StatusCode != 404 {
		t.Errorf("create: %d %s", resp.StatusCode, body)
	}
}

// Whoever asks in another's name must not get what is done in their own.
func TestImpersonationIsRefused(t *testing.T) {
	d := open(t)
	for _, header := range []string{"Impersonate-User: alice", "Impersonate-Group: g", "impersonate-extra-scopes: x"} {
		resp, body := d.call(t, "GET", "/api/v1/namespaces/default/pods", "", header)
		if resp.StatusCode != 403 || !strings.Contains(body, "impersonation is not supported by this version of Muster") {
			t.Errorf("%s: %d %s", header, resp.StatusCode, body)
		}
	}
}

func TestAbsentSubresourcesAreNamed(t *testing.T) {
	d := open(t)
	for path, want := range map[string]string{
		"/api/v1/namespaces/default/pods/a/nap":              `pods \"a\": nap is not supported by this version of Muster`,
		"/api/v1/namespaces/default/serviceaccounts/a/token": `serviceaccounts \"a\": token is not supported by this version of Muster`,
		"/api/v1/namespaces/default/sofas/a/exec":            "could not find the requested resource",
		"/apis/batch/v1/namespaces/default/jobs":             "could not find the requested resource",
		"/api/v1/namespaces/default/pods/a/b/c/d":            "could not find the requested resource",
	} {
		if resp, body := d.call(t, "POST", path, ""); resp.StatusCode != 404 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", path, resp.StatusCode, body, want)
		}
	}
}
