package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// localHeader marks a request that is to be answered from this server's disk.
const localHeader = "Muster-Local"

// manifestTimeout bounds asking one member for a manifest, blobTimeout for a
// blob: a member that died must not hold up a pull.
const (
	manifestTimeout = 2 * time.Second
	blobTimeout     = 5 * time.Minute
)

type localKey struct{}

func withoutPeers(ctx context.Context) context.Context {
	return context.WithValue(ctx, localKey{}, true)
}

func peersAllowed(ctx context.Context) bool { return ctx.Value(localKey{}) == nil }

// peers are the other servers.
type peers struct {
	list   func() []string
	client *http.Client
}

// blob hands the content of a blob to keep, from the first member that has it.
func (p *peers) blob(ctx context.Context, repo string, h v1.Hash, keep func(io.ReadCloser) error) error {
	return p.each(func(address string) error {
		ctx, cancel := context.WithTimeout(ctx, blobTimeout)
		defer cancel()
		response, err := p.get(ctx, address, "/v2/"+repo+"/blobs/"+h.String(), "")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		return keep(verifying(response.Body, h))
	})
}

// manifest returns a manifest by its digest, from the first member that has it.
func (p *peers) manifest(ctx context.Context, name, digest, accept string) (found manifest, err error) {
	err = p.each(func(address string) error {
		ctx, cancel := context.WithTimeout(ctx, manifestTimeout)
		defer cancel()
		response, err := p.get(ctx, address, "/v2/"+name+"/manifests/"+digest, accept)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		content, err := io.ReadAll(io.LimitReader(response.Body, maxManifest+1))
		if err != nil {
			return err
		}
		if found, err = newManifest(content, response.Header.Get("Content-Type")); err != nil {
			return err
		}
		return found.check(digest)
	})
	return found, err
}

// each asks one member after the other until one succeeds.
func (p *peers) each(ask func(address string) error) error {
	var failures []error
	for _, address := range p.list() {
		err := ask(address)
		if err == nil {
			return nil
		}
		if !errors.Is(err, registry.ErrNotFound) {
			failures = append(failures, fmt.Errorf("ask %s: %w", address, err))
		}
	}
	// One that could not be asked may have it, but an image nobody has is the
	// common case, and the puller asks again in either.
	return errors.Join(append(failures, registry.ErrNotFound)...)
}

func (p *peers) get(ctx context.Context, address, path, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(localHeader, "1")
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	response, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	switch response.StatusCode {
	case http.StatusOK:
		return response, nil
	case http.StatusNotFound:
		err = registry.ErrNotFound
	default:
		err = fmt.Errorf("%s: %s", path, response.Status)
	}
	_ = response.Body.Close()
	return nil, err
}
