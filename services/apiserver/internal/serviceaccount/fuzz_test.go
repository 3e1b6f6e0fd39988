package serviceaccount_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/musterhq/muster/services/apiserver/internal/serviceaccount"
)

const robot = "system:serviceaccount:default:robot"

// No token is taken that this cluster did not sign, and what it signed stands for the
// account that it names as long as that is there.
func FuzzToken(f *testing.F) {
	r := newRig(f)
	tokens := r.tokens(newKey(f))
	stranger := r.issue(r.tokens(newKey(f)), 3600, nil)
	for _, ref := range []string{"", "Pod/pod", "Secret/secret"} {
		kind, name, _ := strings.Cut(ref, "/")
		bound := to(kind, name)
		if ref == "" {
			bound = nil
		}
		f.Add(r.issue(tokens, 3600, bound))
	}
	for _, token := range []string{stranger, "", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", stranger + ".e30", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		looks := tokens.Looks(token)
		user, _, err := tokens.Verify(t.Context(), token, tokens.Audiences())
		if err == nil && (!looks || user.Name != robot || token == stranger) {
			t.Errorf("%q looks like one: %v, and is %s's", token, looks, user.Name)
		}
	})
}

// Claims that this cluster signed, whatever they are, stand for nobody but the account
// whose name and UID they have.
func FuzzClaims(f *testing.F) {
	r := newRig(f)
	key := newKey(f)
	tokens := r.tokens(key)
	block, _ := pem.Decode(key)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, nil)
	if err != nil {
		f.Fatal(err)
	}
	const head = `{"iss":"https://kubernetes.default.svc.cluster.local","aud":["https://kubernetes.default.svc.cluster.local"],"exp":99999999999,"sub":"` + robot + `",`
	for _, claims := range []string{
		head + `"kubernetes.io":{"namespace":"default","serviceaccount":{"name":"robot","uid":"uid-robot"},"pod":{"name":"pod","uid":"uid-pod"},"node":{"name":"n1","uid":"uid-n1"}}}`,
		head + `"kubernetes.io":{"namespace":"default","serviceaccount":{"name":"robot","uid":"other"}}}`, head + `"kubernetes.io":null}`,
		`{"iss":"kubernetes/serviceaccount","sub":"` + robot + `","kubernetes.io/serviceaccount/namespace":"default","kubernetes.io/serviceaccount/secret.name":"secret",` +
			`"kubernetes.io/serviceaccount/service-account.name":"robot","kubernetes.io/serviceaccount/service-account.uid":"uid-robot"}`,
		`{"exp":1e400}`, `{"aud":{}}`, `[]`, `null`, ``, `{"iss":1}`, `{"nbf":"x"}`,
	} {
		f.Add(claims)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		signed, err := signer.Sign([]byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		tokens.Looks(token)
		user, _, err := tokens.Verify(t.Context(), token, tokens.Audiences())
		if err == nil && (user.Name != robot || user.UID != "uid-robot") {
			t.Errorf("%s stands for %+v", claims, user)
		}
	})
}

// A file of keys is refused or signs what it verifies.
func FuzzKeys(f *testing.F) {
	key := newKey(f)
	f.Add(key)
	f.Add(append([]byte("# a comment\n"), key...))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte{})
	r := newRig(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		keys, err := serviceaccount.ParseKeys(file)
		if err != nil {
			return
		}
		tokens, err := serviceaccount.New(serviceaccount.Config{Replica: r.replica, Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		if said := judge(t, tokens, rig{t, r.replica}.issue(tokens, 3600, nil)); said != "good" {
			t.Error(said)
		}
	})
}
