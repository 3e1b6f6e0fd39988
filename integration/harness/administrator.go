package harness

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/musterhq/muster/internal/pki"
)

// Administrator reads the administrator's certificate from a kubeconfig.
func Administrator(path string) (*pki.KeyPair, error) {
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil || config.AuthInfos[current.AuthInfo] == nil || config.Clusters[current.Cluster] == nil {
		return nil, fmt.Errorf("read kubeconfig %s: it has no current user", path)
	}
	user := config.AuthInfos[current.AuthInfo]
	return pki.NewKeyPair(user.ClientCertificateData, user.ClientKeyData, config.Clusters[current.Cluster].CertificateAuthorityData)
}
