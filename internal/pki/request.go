package pki

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// ParseRequest reads a PKCS #10 request from PEM.
func ParseRequest(in []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(in)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// CheckRequest tells whether in is a request in PEM that its own key signed.
func CheckRequest(in []byte) error {
	request, err := ParseRequest(in)
	if err != nil {
		return err
	}
	return request.CheckSignature()
}

// keyUsage and extKeyUsage are what usages are named in Kubernetes' requests.
var (
	keyUsage = map[string]x509.KeyUsage{
		"digital signature": x509.KeyUsageDigitalSignature, "key encipherment": x509.KeyUsageKeyEncipherment,
	}
	extKeyUsage = map[string]x509.ExtKeyUsage{
		"client auth": x509.ExtKeyUsageClientAuth, "server auth": x509.ExtKeyUsageServerAuth,
	}
)

// SignAsked signs a request with the subject and the names that it asks for: the
// caller has checked that they are due. It refuses usages that it does not know.
func (c *CA) SignAsked(request *x509.CertificateRequest, usages []string, ttl time.Duration) (certPEM []byte, err error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		RawSubject:   request.RawSubject, Subject: request.Subject,
		DNSNames: request.DNSNames, IPAddresses: request.IPAddresses,
		EmailAddresses: request.EmailAddresses, URIs: request.URIs,
		NotBefore: now.Add(-backdate), NotAfter: now.Add(ttl),
		BasicConstraintsValid: true,
	}
	if template.NotAfter.After(c.cert.NotAfter) {
		template.NotAfter = c.cert.NotAfter
	}
	for _, u := range usages {
		key, isKey := keyUsage[u]
		ext, isExt := extKeyUsage[u]
		switch {
		case isKey:
			template.KeyUsage |= key
		case isExt:
			template.ExtKeyUsage = append(template.ExtKeyUsage, ext)
		default:
			return nil, fmt.Errorf("sign request of %s: usage %q is not known", request.Subject.CommonName, u)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, request.PublicKey, c.key)
	if err != nil {
		return nil, fmt.Errorf("sign request of %s: %w", request.Subject.CommonName, err)
	}
	return encodeCertificate(der), nil
}
