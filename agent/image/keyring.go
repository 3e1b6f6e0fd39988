package image

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"sort"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// Keyring holds credentials by registry, or registry and repository.
type Keyring map[string]runtime.RegistryAuth

type dockerConfig struct {
	Auths map[string]dockerAuth `json:"auths"`
}

type dockerAuth struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

// Add takes the credentials of a pull secret in; other kinds of secrets are an error.
func (k Keyring) Add(secret *corev1.Secret) error {
	var auths map[string]dockerAuth
	switch secret.Type {
	case corev1.SecretTypeDockerConfigJson:
		var cfg dockerConfig
		if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &cfg); err != nil {
			return fmt.Errorf("read pull secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
		auths = cfg.Auths
	case corev1.SecretTypeDockercfg:
		if err := json.Unmarshal(secret.Data[corev1.DockerConfigKey], &auths); err != nil {
			return fmt.Errorf("read pull secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
	default:
		return fmt.Errorf("pull secret %s/%s: type %q holds no registry credentials", secret.Namespace, secret.Name, secret.Type)
	}
	for registry, a := range auths {
		auth, err := a.decode()
		if err != nil {
			return fmt.Errorf("read pull secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
		k[registryKey(registry)] = auth
	}
	return nil
}

func (a dockerAuth) decode() (runtime.RegistryAuth, error) {
	if a.Auth == "" {
		return runtime.RegistryAuth{Username: a.Username, Password: a.Password}, nil
	}
	b, err := base64.StdEncoding.DecodeString(a.Auth)
	if err != nil {
		return runtime.RegistryAuth{}, err
	}
	user, password, _ := strings.Cut(string(b), ":")
	return runtime.RegistryAuth{Username: user, Password: password}, nil
}

// registryKey reduces the spellings that docker login leaves to host[/path].
func registryKey(s string) string {
	if strings.Contains(s, "://") {
		if u, err := url.Parse(s); err == nil {
			s = u.Host + u.Path
		}
	}
	s = strings.TrimSuffix(s, "/")
	s = strings.TrimSuffix(strings.TrimSuffix(s, "/v1"), "/v2")
	if s == "index.docker.io" || s == "registry-1.docker.io" {
		return "docker.io"
	}
	return s
}

// Lookup returns the credentials that fit an image, the most specific first.
func (k Keyring) Lookup(named reference.Named) []*runtime.RegistryAuth {
	var keys []string
	for key := range k {
		if key == named.Name() || strings.HasPrefix(named.Name(), key+"/") {
			keys = append(keys, key)
		}
	}
	sort.Slice(keys, func(i, j int) bool { return len(keys[i]) > len(keys[j]) })
	out := make([]*runtime.RegistryAuth, 0, len(keys))
	for _, key := range keys {
		auth := k[key]
		out = append(out, &auth)
	}
	return out
}
