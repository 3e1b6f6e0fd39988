// Package serviceaccount makes and verifies the tokens of service accounts: signed
// claims, bound to objects that must still be there when they are used.
package serviceaccount

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// Keys sign and verify tokens.
type Keys struct {
	signer jose.Signer
	byID   map[string]jose.JSONWebKey
	public jose.JSONWebKeySet
}

// ParseKeys reads keys in PEM. The first private one signs, all verify, so that what
// was signed by a key lasts for as long as the key is listed: a new one is listed last
// on all servers before it is listed first on any.
func ParseKeys(text []byte) (*Keys, error) {
	k := &Keys{byID: map[string]jose.JSONWebKey{}}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		key, err := parseKey(block)
		if err != nil {
			return nil, fmt.Errorf("read keys of service accounts: %w", err)
		}
		if key == nil {
			continue
		}
		if err := k.add(key); err != nil {
			return nil, fmt.Errorf("read keys of service accounts: %w", err)
		}
	}
	if k.signer == nil {
		return nil, errors.New("read keys of service accounts: there is no private key")
	}
	return k, nil
}

// parseKey returns nil for a block that is no key (the parameters that openssl writes
// before one).
func parseKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	}
	return nil, nil
}

func (k *Keys) add(key any) error {
	public := key
	private, signs := key.(crypto.Signer)
	if signs {
		public = private.Public()
	}
	algorithm, err := algorithmOf(public)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	// Kubernetes names keys so, too.
	sum := sha256.Sum256(der)
	id := base64.RawURLEncoding.EncodeToString(sum[:])
	if _, known := k.byID[id]; !known {
		listed := jose.JSONWebKey{Key: public, KeyID: id, Algorithm: string(algorithm), Use: "sig"}
		k.byID[id] = listed
		k.public.Keys = append(k.public.Keys, listed)
	}
	if !signs || k.signer != nil {
		return nil
	}
	k.signer, err = jose.NewSigner(jose.SigningKey{
		Algorithm: algorithm, Key: jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(algorithm)},
	}, nil)
	return err
}

func algorithmOf(public any) (jose.SignatureAlgorithm, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return jose.RS256, nil
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return jose.ES256, nil
		case 384:
			return jose.ES384, nil
		case 521:
			return jose.ES512, nil
		}
	}
	return "", fmt.Errorf("a %T cannot sign tokens: use RSA, or ECDSA with P-256, P-384 or P-521", public)
}

// algorithms are those that tokens may be signed by.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.ES384, jose.ES512}
