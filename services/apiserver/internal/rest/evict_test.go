package rest_test

import (
	"strings"
	"testing"
)

// Whoever drains says so in the version of its day; both are one action.
func TestEvictionsOfBothVersions(t *testing.T) {
	d := open(t)
	const pods = "/api/v1/namespaces/default/pods"
	for version, want := range map[string]struct {
		code int
		text string
	}{
		"policy/v1":      {201, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}`},
		"policy/v1beta1": {201, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}`},
		"policy/v2":      {400, `the API version in the data (policy/v2) does not match the expected API version (policy/v1)`},
	} {
		t.Run(version, func(t *testing.T) {
			d.call(t, "POST", pods, `{"metadata":{"name":"web"},"spec":{"containers":[{"name":"c","image":"i"}]}}`)
			response, body := d.call(t, "POST", pods+"/web/eviction", `{"apiVersion":"`+version+`","kind":"Eviction","metadata":{"name":"web"}}`)
			if response.StatusCode != want.code || !strings.Contains(body, want.text) {
				t.Errorf("%d %s", response.StatusCode, body)
			}
		})
	}
}

func TestDeprecatedKindsAreWarnedOf(t *testing.T) {
	d := open(t)
	response, _ := d.call(t, "GET", "/api/v1/endpoints", "")
	want := `299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"`
	if got := response.Header.Get("Warning"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
