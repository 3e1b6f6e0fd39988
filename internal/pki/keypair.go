package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/musterhq/muster/internal/durable"
)

// KeyPair is a member's certificate and key and the authority it trusts. The
// TLS configurations it makes use whatever Replace or Reload brought last, so
// a renewal needs no restart.
type KeyPair struct {
	certFile, keyFile string // empty when it lives in memory
	caPEM             []byte
	ca                *x509.Certificate
	pool              *x509.CertPool
	current           atomic.Pointer[tls.Certificate]
}

// LoadKeyPair reads a pair from files; Reload reads them again, Replace writes them.
func LoadKeyPair(certFile, keyFile, caFile string) (*KeyPair, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	caPEM, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("load CA: %w", err)
	}
	k, err := NewKeyPair(certPEM, keyPEM, caPEM)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", certFile, err)
	}
	k.certFile, k.keyFile = certFile, keyFile
	return k, nil
}

// NewKeyPair makes a pair from PEM. The certificate must be the authority's own.
func NewKeyPair(certPEM, keyPEM, caPEM []byte) (*KeyPair, error) {
	ca, err := parseCertificate(caPEM)
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	k := &KeyPair{caPEM: caPEM, ca: ca, pool: x509.NewCertPool()}
	k.pool.AddCert(ca)
	if err := k.set(certPEM, keyPEM); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *KeyPair) set(certPEM, keyPEM []byte) error {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	if err := pair.Leaf.CheckSignatureFrom(k.ca); err != nil {
		return fmt.Errorf("certificate of %q was signed by another CA: %w", pair.Leaf.Subject.CommonName, err)
	}
	// The authority is sent along, so that one who joins can compare its pin.
	pair.Certificate = [][]byte{pair.Leaf.Raw, k.ca.Raw}
	k.current.Store(&pair)
	return nil
}

// Save writes the pair and the CA's certificate as dir/name.crt, dir/name.key
// and dir/ca.crt, where Replace and Reload find them from then on.
func (k *KeyPair) Save(dir, name string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save certificate %s: %w", name, err)
	}
	if err := durable.ReplaceFile(filepath.Join(dir, caCertFile), k.caPEM, 0o644); err != nil {
		return fmt.Errorf("save certificate %s: %w", name, err)
	}
	k.certFile, k.keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	return k.write(k.CertificatePEM(), k.KeyPEM())
}

func (k *KeyPair) write(certPEM, keyPEM []byte) error {
	if err := durable.ReplaceFile(k.keyFile, keyPEM, 0o600); err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	if err := durable.ReplaceFile(k.certFile, certPEM, 0o644); err != nil {
		return fmt.Errorf("save certificate: %w", err)
	}
	return nil
}

// Reload reads the files again.
func (k *KeyPair) Reload() error {
	if k.certFile == "" {
		return errors.New("reload certificate: it was not loaded from files")
	}
	next, err := LoadKeyPair(k.certFile, k.keyFile, filepath.Join(filepath.Dir(k.certFile), caCertFile))
	if err != nil {
		return err
	}
	return k.set(next.CertificatePEM(), next.KeyPEM())
}

// Replace brings in a renewed certificate, and writes it where the old one was
// loaded from.
func (k *KeyPair) Replace(certPEM, keyPEM []byte) error {
	if err := k.set(certPEM, keyPEM); err != nil {
		return fmt.Errorf("replace certificate: %w", err)
	}
	if k.certFile == "" {
		return nil
	}
	return k.write(certPEM, keyPEM)
}

// Reissue renews the pair with the authority itself, which only servers hold, and
// returns when the new certificate expires. Identity and addresses stay.
func (k *KeyPair) Reissue(authority *CA) (time.Time, error) {
	old := k.Leaf()
	addresses := append([]string(nil), old.DNSNames...)
	for _, ip := range old.IPAddresses {
		addresses = append(addresses, ip.String())
	}
	certPEM, keyPEM, err := authority.Issue(IdentityOf(old), addresses, CertificateLife)
	if err != nil {
		return time.Time{}, err
	}
	if err := k.Replace(certPEM, keyPEM); err != nil {
		return time.Time{}, err
	}
	if leaf := k.Leaf(); time.Now().After(leaf.NotAfter) {
		return time.Time{}, fmt.Errorf("the CA itself expired at %s", leaf.NotAfter.Format(time.RFC3339))
	}
	return k.Leaf().NotAfter, nil
}

// Leaf is the certificate in use.
func (k *KeyPair) Leaf() *x509.Certificate { return k.current.Load().Leaf }

// Identity is that of the certificate in use.
func (k *KeyPair) Identity() Identity { return IdentityOf(k.Leaf()) }

// RenewAt is when two thirds of the certificate's life are over.
func (k *KeyPair) RenewAt() time.Time {
	leaf := k.Leaf()
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

// CAPEM is the authority's certificate.
func (k *KeyPair) CAPEM() []byte { return k.caPEM }

// Pool holds the authority alone.
func (k *KeyPair) Pool() *x509.CertPool { return k.pool }

// CertificatePEM is the certificate in use, without the authority's.
func (k *KeyPair) CertificatePEM() []byte { return encodeCertificate(k.Leaf().Raw) }

// KeyPEM is the private key in use.
func (k *KeyPair) KeyPEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.current.Load().PrivateKey)
	if err != nil {
		panic("pki: a key pair holds a key that cannot be encoded: " + err.Error())
	}
	return encodeKeyDER(der)
}
