package serviceaccount

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// The paths by which others learn to verify the tokens, by OpenID Connect Discovery.
const (
	ConfigurationPath = "/.well-known/openid-configuration"
	KeysPath          = "/openid/v1/jwks"
)

// configuration is the discovery document, as far as it is about tokens that nobody
// asks for by a browser.
type configuration struct {
	Issuer        string   `json:"issuer"`
	KeysURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

// Documents returns the documents by their path; address is where the API is reached
// (host:port). Who may see them is the caller's to decide.
func (t *Tokens) Documents(address string) (map[string]http.Handler, error) {
	used := map[string]bool{}
	for _, key := range t.config.Keys.public.Keys {
		used[key.Algorithm] = true
	}
	about, err := json.Marshal(configuration{
		Issuer: t.config.Issuer, KeysURI: "https://" + address + KeysPath,
		ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"}, Algorithms: slices.Sorted(maps.Keys(used)),
	})
	if err != nil {
		return nil, fmt.Errorf("write OpenID configuration: %w", err)
	}
	keys, err := json.Marshal(t.config.Keys.public)
	if err != nil {
		return nil, fmt.Errorf("write keys of service accounts: %w", err)
	}
	return map[string]http.Handler{
		ConfigurationPath: document("application/json", about), KeysPath: document("application/jwk-set+json", keys),
	}, nil
}

func document(media string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(body) // Who went away needs no answer.
	})
}
