// Package kubeconfig writes and reads the file that tells kubectl, and muster's
// own commands, where the cluster is and who calls.
package kubeconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/musterhq/muster/internal/pki"
)

const (
	// extension is where muster's own commands find the gRPC addresses; kubectl
	// leaves it alone.
	extension = "github.com/musterhq/muster"

	defaultGRPCPort = "6442"
)

// Access is what the file says.
type Access struct {
	// Cluster names the context.
	Cluster string
	// Server is the Kubernetes address, https://host:port.
	Server string
	// GRPC addresses of the servers, host:port.
	GRPC []string
	// KeyPair of the user, with the cluster's CA.
	KeyPair *pki.KeyPair
}

type extensionContent struct {
	GRPC []string `json:"grpc"`
}

// Write writes the file, readable by its owner only.
func Write(path string, a Access) error {
	raw, err := json.Marshal(extensionContent{GRPC: a.GRPC})
	if err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	user := a.KeyPair.Identity().User
	config := clientcmdapi.NewConfig()
	config.Clusters[a.Cluster] = &clientcmdapi.Cluster{
		Server: a.Server, CertificateAuthorityData: a.KeyPair.CAPEM(),
		Extensions: map[string]runtime.Object{extension: &runtime.Unknown{Raw: raw, ContentType: runtime.ContentTypeJSON}},
	}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: a.KeyPair.CertificatePEM(), ClientKeyData: a.KeyPair.KeyPEM()}
	config.Contexts[a.Cluster] = &clientcmdapi.Context{Cluster: a.Cluster, AuthInfo: user}
	config.CurrentContext = a.Cluster
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// Load reads the current context of a file: the one given, else the one that
// KUBECONFIG names, else ~/.kube/config.
func Load(path string) (Access, error) {
	if path == "" {
		path = os.Getenv("KUBECONFIG")
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return Access{}, fmt.Errorf("find kubeconfig: %w", err)
		}
		path = filepath.Join(home, ".kube", "config")
	}
	a, err := load(path)
	if errors.Is(err, os.ErrNotExist) {
		return Access{}, fmt.Errorf("no kubeconfig at %s: name one with --kubeconfig or KUBECONFIG", path)
	}
	if err != nil {
		return Access{}, fmt.Errorf("read kubeconfig %s: %w", path, err)
	}
	return a, nil
}

func load(path string) (Access, error) {
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return Access{}, err
	}
	context, ok := config.Contexts[config.CurrentContext]
	if !ok {
		return Access{}, fmt.Errorf("no context %q", config.CurrentContext)
	}
	cluster, user := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	if cluster == nil || user == nil {
		return Access{}, fmt.Errorf("context %q names a cluster or user that is not there", config.CurrentContext)
	}
	caPEM, err := content(cluster.CertificateAuthorityData, cluster.CertificateAuthority)
	if err != nil {
		return Access{}, err
	}
	certPEM, err := content(user.ClientCertificateData, user.ClientCertificate)
	if err != nil {
		return Access{}, err
	}
	keyPEM, err := content(user.ClientKeyData, user.ClientKey)
	if err != nil {
		return Access{}, err
	}
	pair, err := pki.NewKeyPair(certPEM, keyPEM, caPEM)
	if err != nil {
		return Access{}, fmt.Errorf("user %q (a client certificate is needed): %w", context.AuthInfo, err)
	}
	grpc, err := grpcAddresses(cluster)
	if err != nil {
		return Access{}, err
	}
	return Access{Cluster: context.Cluster, Server: cluster.Server, GRPC: grpc, KeyPair: pair}, nil
}

// grpcAddresses reads the extension; without it, gRPC is where Kubernetes'
// address is, on its usual port.
func grpcAddresses(cluster *clientcmdapi.Cluster) ([]string, error) {
	if unknown, ok := cluster.Extensions[extension].(*runtime.Unknown); ok {
		var content extensionContent
		if err := json.Unmarshal(unknown.Raw, &content); err != nil {
			return nil, fmt.Errorf("extension %s: %w", extension, err)
		}
		if len(content.GRPC) > 0 {
			return content.GRPC, nil
		}
	}
	server, err := url.Parse(cluster.Server)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", cluster.Server, err)
	}
	return []string{net.JoinHostPort(server.Hostname(), defaultGRPCPort)}, nil
}

func content(data []byte, file string) ([]byte, error) {
	if len(data) > 0 || file == "" {
		return data, nil
	}
	return os.ReadFile(file)
}
