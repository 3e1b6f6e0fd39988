package containerd

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/musterhq/muster/agent/runtime"
)

// dialTimeout bounds how long an unreachable registry delays the next one.
const dialTimeout = 10 * time.Second

// Image implements runtime.Runtime.
func (r *Runtime) Image(ctx context.Context, ref string) (runtime.Image, error) {
	name, err := normalise(ref)
	if err != nil {
		return runtime.Image{}, err
	}
	ctx = r.context(ctx)
	img, err := r.client.GetImage(ctx, name)
	if errdefs.IsNotFound(err) {
		return runtime.Image{}, fmt.Errorf("image %s: %w", name, runtime.ErrNotFound)
	}
	if err != nil {
		return runtime.Image{}, fmt.Errorf("look for image %s: %w", name, err)
	}
	return r.describe(ctx, img)
}

// normalise gives a reference its full name, as Kubernetes does.
func normalise(ref string) (string, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", fmt.Errorf("couldn't parse image name %q: %w", ref, err)
	}
	return named.String(), nil
}

func (r *Runtime) describe(ctx context.Context, img client.Image) (runtime.Image, error) {
	unpacked, err := img.IsUnpacked(ctx, r.cfg.Snapshotter)
	if err != nil {
		if errdefs.IsNotFound(err) {
			// The record is there and its content is not: as good as absent.
			return runtime.Image{}, fmt.Errorf("image %s: %w", img.Name(), runtime.ErrNotFound)
		}
		return runtime.Image{}, fmt.Errorf("inspect image %s: %w", img.Name(), err)
	}
	if !unpacked {
		if err := img.Unpack(ctx, r.cfg.Snapshotter); err != nil {
			return runtime.Image{}, fmt.Errorf("unpack image %s: %w", img.Name(), err)
		}
	}
	config, err := img.Config(ctx)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("inspect image %s: %w", img.Name(), err)
	}
	spec, err := img.Spec(ctx)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("inspect image %s: %w", img.Name(), err)
	}
	size, err := img.Size(ctx)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("measure image %s: %w", img.Name(), err)
	}
	named, err := reference.ParseNormalizedNamed(img.Name())
	if err != nil {
		return runtime.Image{}, err
	}
	return runtime.Image{
		Ref: img.Name(), ID: config.Digest.String(),
		RepoDigest: named.Name() + "@" + img.Target().Digest.String(),
		Size:       size, User: spec.Config.User,
	}, nil
}

// Pull implements runtime.Runtime.
func (r *Runtime) Pull(ctx context.Context, ref string, auth *runtime.RegistryAuth) (runtime.Image, error) {
	name, err := normalise(ref)
	if err != nil {
		return runtime.Image{}, err
	}
	ctx = r.context(ctx)
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: r.registries(auth)})
	img, err := r.client.Pull(ctx, name,
		client.WithResolver(resolver),
		client.WithPullUnpack,
		client.WithPullSnapshotter(r.cfg.Snapshotter),
	)
	if err != nil {
		return runtime.Image{}, fmt.Errorf("failed to pull and unpack image %q: %w", name, err)
	}
	return r.describe(ctx, img)
}

// registries puts the mirrors, which know every image by its full name, before
// the registry that the name itself names.
func (r *Runtime) registries(auth *runtime.RegistryAuth) docker.RegistryHosts {
	own := docker.ConfigureDefaultRegistries(
		docker.WithPlainHTTP(docker.MatchLocalhost),
		docker.WithClient(httpClient(Mirror{})),
		docker.WithAuthorizer(docker.NewDockerAuthorizer(docker.WithAuthCreds(func(string) (string, string, error) {
			if auth == nil {
				return "", "", nil
			}
			return auth.Username, auth.Password, nil
		}))),
	)
	return func(host string) ([]docker.RegistryHost, error) {
		var hosts []docker.RegistryHost
		var mirrors []Mirror
		if r.cfg.Mirrors != nil {
			mirrors = r.cfg.Mirrors()
		}
		for _, m := range mirrors {
			u, err := url.Parse(m.URL)
			if err != nil {
				return nil, fmt.Errorf("mirror %q: %w", m.URL, err)
			}
			hosts = append(hosts, docker.RegistryHost{
				Client: httpClient(m), Host: u.Host, Scheme: u.Scheme,
				Path:         strings.TrimSuffix(u.Path, "/") + "/v2/" + host,
				Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve,
			})
		}
		if r.cfg.Offline {
			return hosts, nil
		}
		rest, err := own(host)
		return append(hosts, rest...), err
	}
}

func httpClient(m Mirror) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:     m.TLS.Clone(),
		TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout:     dialTimeout,
		ForceAttemptHTTP2:   true,
	}}
}

// ImportImages implements runtime.Runtime.
func (r *Runtime) ImportImages(ctx context.Context, archive io.Reader) ([]runtime.Image, error) {
	ctx = r.context(ctx)
	imported, err := r.client.Import(ctx, archive, client.WithImageRefTranslator(func(ref string) string {
		if name, err := normalise(ref); err == nil {
			return name
		}
		return ref
	}))
	if err != nil {
		return nil, fmt.Errorf("import images: %w", err)
	}
	var out []runtime.Image
	for _, i := range imported {
		img, err := r.describe(ctx, client.NewImage(r.client, i))
		if err != nil {
			return nil, err
		}
		out = append(out, img)
	}
	return out, nil
}
