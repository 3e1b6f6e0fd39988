package auth

import (
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/musterhq/muster/internal/access"
)

// Headers that name another user are noticed, and every part of him is asked for.
func FuzzHeaders(f *testing.F) {
	for _, name := range []string{"User", "Group", "Uid", "Extra-Scopes", "Extra-A%2fb", "Extra-%zz", "Extra-", ""} {
		f.Add("Bearer abc", name, "jane", "system:serviceaccount:a:b")
		f.Add("bearer  x y ", name, "", "system:serviceaccount:a")
	}
	f.Add("Basic YTpi", "User", "system:anonymous", "system:serviceaccount::")
	f.Fuzz(func(t *testing.T, authorization, name, value, user string) {
		if secret, ok := bearer(authorization); ok && (secret == "" || strings.TrimSpace(secret) != secret) {
			t.Errorf("%q holds the token %q", authorization, secret)
		}
		header := http.Header{textproto.CanonicalMIMEHeaderKey(impersonatePrefix + name): {value}}
		if !Impersonates(header) {
			t.Errorf("%v is not noticed", header)
		}
		header.Add("Impersonate-User", user)
		as := access.User{}
		for _, part := range partsOf(header) {
			if r := part.request(access.User{}); r.Resource.Resource == "" || r.Verb != "impersonate" {
				t.Errorf("%+v is asked for as %+v", part, r)
			}
			part.apply(&as, false)
		}
		if header.Get("Impersonate-User") != "" && as.Name == "" {
			t.Errorf("%v is nobody", header)
		}
	})
}
