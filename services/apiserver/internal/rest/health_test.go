package rest_test

import "testing"

// The forms are those of Kubernetes' page "API health endpoints".
func TestHealth(t *testing.T) {
	d := open(t)
	for path, want := range map[string]struct {
		code int
		body string
	}{
		"/healthz":                     {200, "ok"},
		"/livez?verbose":               {200, "[+]ping ok\nlivez check passed\n"},
		"/readyz/":                     {200, "ok"},
		"/readyz?verbose":              {200, "[+]ping ok\n[+]raft ok\nreadyz check passed\n"},
		"/readyz?verbose&exclude=raft": {200, "[+]ping ok\n[+]raft excluded: ok\nreadyz check passed\n"},
		"/readyz/raft":                 {200, "ok"},
	} {
		if resp, body := d.call(t, "GET", path, ""); resp.StatusCode != want.code || body != want.body {
			t.Errorf("%s: %d %q, want %d %q", path, resp.StatusCode, body, want.code, want.body)
		}
	}
	for _, path := range []string{"/livez/raft", "/readyz/none", "/healthzz"} {
		if resp, _ := d.call(t, "GET", path, ""); resp.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", path, resp.StatusCode)
		}
	}
}
