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
