package serviceaccount

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// legacyIssuer is that of tokens which lie in Secrets and never expire.
const legacyIssuer = "kubernetes/serviceaccount"

// legacy are the claims of such a token.
type legacy struct {
	Namespace  string    `json:"kubernetes.io/serviceaccount/namespace,omitempty"`
	Account    string    `json:"kubernetes.io/serviceaccount/service-account.name,omitempty"`
	AccountUID types.UID `json:"kubernetes.io/serviceaccount/service-account.uid,omitempty"`
	Secret     string    `json:"kubernetes.io/serviceaccount/secret.name,omitempty"`
}

func (l legacy) bound() bound {
	return bound{Namespace: l.Namespace, Account: ref{l.Account, l.AccountUID}}
}

// check tells whether the token still lies in its Secret.
func (l legacy) check(in objects, token string) error {
	secret := new(corev1.Secret)
	err := find(in.view, "secrets", l.Namespace, l.Secret, secret)
	if err != nil || gone(&secret.ObjectMeta, in.now) || string(secret.Data[corev1.ServiceAccountTokenKey]) != token {
		return errInvalidated
	}
	return nil
}

// legacyClaims are both the registered claims of such a token and its own.
type legacyClaims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	legacy
}

// IssueLegacy makes the token of a Secret of the type for that.
func (t *Tokens) IssueLegacy(account *corev1.ServiceAccount, secret *corev1.Secret) (string, error) {
	return t.sign(legacyClaims{
		Issuer: legacyIssuer, Subject: username(account.Namespace, account.Name),
		legacy: legacy{Namespace: account.Namespace, Account: account.Name, AccountUID: account.UID, Secret: secret.Name},
	})
}
