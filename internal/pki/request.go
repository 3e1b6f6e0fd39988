package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
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
