// Package join is how a machine becomes a member: the token it is given, the
// exchange of the token for an identity, the directory that keeps the identity,
// and the renewal of its certificate.
package join

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const tokenPrefix = "muster1."

// Token is all a machine must know to join.
type Token struct {
	// Addresses of servers' gRPC ports, host:port.
	Addresses []string `json:"a"`
	// Pin of the cluster's CA.
	Pin string `json:"p"`
	// ID names the token in the cluster, Secret proves it.
	ID     string `json:"i"`
	Secret string `json:"s"`
}

// ErrBadToken says that a string is no join token.
var ErrBadToken = errors.New("not a join token: copy the whole line that `muster token create` printed")

// String is the token as one word.
func (t Token) String() string {
	out, err := json.Marshal(t)
	if err != nil {
		panic("join: token cannot be encoded: " + err.Error())
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(out)
}

// ParseToken reads what String wrote.
func ParseToken(s string) (Token, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(s), tokenPrefix)
	if !ok {
		return Token{}, fmt.Errorf("%w (it starts with %q)", ErrBadToken, tokenPrefix)
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	var t Token
	if err := json.Unmarshal(raw, &t); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	if len(t.Addresses) == 0 || t.Pin == "" || t.ID == "" || t.Secret == "" {
		return Token{}, ErrBadToken
	}
	return t, nil
}

// Proof is what JoinRequest.secret carries.
func (t Token) Proof() string { return t.ID + "." + t.Secret }
