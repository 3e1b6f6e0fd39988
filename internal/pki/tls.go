package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ServerTLS serves with this pair. Callers' certificates are verified against
// the cluster's authority as clientAuth says. TLS 1.3, and 1.2 on the REST port
// (no ALPN protocol, or http/1.1 among them), where old clients call.
func (k *KeyPair) ServerTLS(clientAuth tls.ClientAuthType, alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion: minVersion(alpn),
		NextProtos: alpn,
		ClientAuth: clientAuth,
		ClientCAs:  k.pool,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return k.current.Load(), nil
		},
	}
}

// ClientTLS calls with this pair a server whose certificate must be valid for
// the name, or for the host called when the name is empty.
func (k *KeyPair) ClientTLS(serverName string, alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		NextProtos:           alpn,
		RootCAs:              k.pool,
		ServerName:           serverName,
		GetClientCertificate: k.clientCertificate,
	}
}

// PeerTLS is for either end of a connection inside the cluster: both sides show
// a certificate of the cluster's authority, and check decides by the other's
// identity, not by its address.
func (k *KeyPair) PeerTLS(check func(Identity) error, alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		NextProtos:           alpn,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.current.Load(), nil },
		GetClientCertificate: k.clientCertificate,
		ClientAuth:           tls.RequireAnyClientCert,
		// Host names are not what identifies a member; VerifyConnection does the
		// verifying, on resumed connections too.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("peer shows no certificate")
			}
			leaf := state.PeerCertificates[0]
			if err := verify(leaf, k.pool); err != nil {
				return err
			}
			return check(IdentityOf(leaf))
		},
	}
}

func (k *KeyPair) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return k.current.Load(), nil
}

// ErrForeignCluster says that a server shows another authority than the pinned one.
var ErrForeignCluster = errors.New("the server is not of the cluster that the token was made for")

// PinnedTLS is for one who has nothing but a join token: the server must be an
// apiserver of the cluster whose authority has the pin.
func PinnedTLS(pin string, alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         alpn,
		InsecureSkipVerify: true, // VerifyConnection verifies against the pin.
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, cert := range state.PeerCertificates {
				if !cert.IsCA || PinOf(cert) != pin {
					continue
				}
				pool := x509.NewCertPool()
				pool.AddCert(cert)
				leaf := state.PeerCertificates[0]
				if err := verify(leaf, pool); err != nil {
					return err
				}
				return IsServer(IdentityOf(leaf))
			}
			return fmt.Errorf("%w (no CA with pin %s)", ErrForeignCluster, pin)
		},
	}
}

// CheckPin says whether a CA certificate in PEM has the pin.
func CheckPin(caPEM []byte, pin string) error {
	cert, err := parseCertificate(caPEM)
	if err != nil {
		return fmt.Errorf("CA certificate: %w", err)
	}
	if got := PinOf(cert); got != pin {
		return fmt.Errorf("CA certificate has pin %s, the token asks for %s", got, pin)
	}
	return nil
}

// Verify says whether a caller's certificate is the authority's and valid now.
func (k *KeyPair) Verify(leaf *x509.Certificate) error { return verify(leaf, k.pool) }

// verify asks for what every member's certificate is for. One that was signed on
// request for serving alone is nobody's to call with.
func verify(leaf *x509.Certificate, roots *x509.CertPool) error {
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("verify certificate of %q: %w", leaf.Subject.CommonName, err)
	}
	return nil
}

func minVersion(alpn []string) uint16 {
	for _, protocol := range alpn {
		if protocol == "http/1.1" {
			return tls.VersionTLS12
		}
	}
	if len(alpn) == 0 {
		return tls.VersionTLS12
	}
	return tls.VersionTLS13
}
