package imageload

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Target is a server that images are pushed to.
type Target struct {
	Name   string
	Client *http.Client
	// URL of its Kubernetes address, https://host:port.
	URL string
}

// Push puts an image into one server's registry. Layers it has are not sent.
func (t Target) Push(ctx context.Context, image Image) error {
	if err := t.push(ctx, image); err != nil {
		return fmt.Errorf("push %s to %s: %w", image.Reference, t.Name, err)
	}
	return nil
}

func (t Target) push(ctx context.Context, image Image) error {
	repo := repository(image.Reference)
	layers, err := image.Image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return err
		}
		size, err := layer.Size()
		if err != nil {
			return err
		}
		if err := t.blob(ctx, repo, digest, size, layer.Compressed); err != nil {
			return err
		}
	}
	config, err := image.Image.RawConfigFile()
	if err != nil {
		return err
	}
	digest, err := image.Image.ConfigName()
	if err != nil {
		return err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(config)), nil }
	if err := t.blob(ctx, repo, digest, int64(len(config)), open); err != nil {
		return err
	}
	return t.manifest(ctx, repo, image)
}

func (t Target) blob(ctx context.Context, repo string, digest v1.Hash, size int64, open func() (io.ReadCloser, error)) error {
	// The server must have the blob itself: it may not outlive the others.
	response, err := t.do(ctx, http.MethodHead, "/v2/"+repo+"/blobs/"+digest.String(), nil, 0, map[string]string{"Muster-Local": "1"})
	if err != nil {
		return err
	}
	if response.status == http.StatusOK {
		return nil
	}
	content, err := open()
	if err != nil {
		return err
	}
	defer content.Close()
	response, err = t.do(ctx, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digest.String(), content, size,
		map[string]string{"Content-Type": "application/octet-stream"})
	if err != nil {
		return err
	}
	return response.expect(http.StatusCreated)
}

func (t Target) manifest(ctx context.Context, repo string, image Image) error {
	content, err := image.Image.RawManifest()
	if err != nil {
		return err
	}
	mediaType, err := image.Image.MediaType()
	if err != nil {
		return err
	}
	response, err := t.do(ctx, http.MethodPut, "/v2/"+repo+"/manifests/"+image.Reference.TagStr(), bytes.NewReader(content), int64(len(content)),
		map[string]string{"Content-Type": string(mediaType)})
	if err != nil {
		return err
	}
	return response.expect(http.StatusCreated)
}

// answer is a response whose short body was read.
type answer struct {
	request string
	status  int
	body    string
}

func (a *answer) expect(status int) error {
	if a.status == status {
		return nil
	}
	return fmt.Errorf("%s: %d %s: %s", a.request, a.status, http.StatusText(a.status), strings.TrimSpace(a.body))
}

func (t Target) do(ctx context.Context, method, path string, body io.Reader, size int64, headers map[string]string) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, t.URL+path, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = size
	for key, value := range headers {
		request.Header.Set(key, value)
	}
	response, err := t.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	return &answer{request: method + " " + request.URL.Path, status: response.StatusCode, body: string(content)}, nil
}
