package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxManifest is what the distribution specification asks registries to take at least.
const maxManifest = 4 << 20

var (
	validName = regexp.MustCompile(`^[a-z0-9]+([._:-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	validTag  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// manifests keeps manifests by digest.
type manifests struct {
	dir   string
	tags  tags
	peers *peers
}

type manifest struct {
	digest    string
	mediaType string
	content   []byte
}

func (m *manifests) serve(w http.ResponseWriter, req *http.Request, name, reference string) error {
	if !validName.MatchString(name) || !validReference(reference) {
		writeError(w, http.StatusBadRequest, "NAME_INVALID", "invalid repository or reference")
		return nil
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		return m.get(w, req, name, reference)
	case http.MethodPut:
		return m.put(w, req, name, reference)
	}
	writeError(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "manifests are read and put")
	return nil
}

func isDigest(reference string) bool { return strings.HasPrefix(reference, "sha256:") }

func validReference(reference string) bool {
	if isDigest(reference) {
		_, err := v1.NewHash(reference)
		return err == nil
	}
	return validTag.MatchString(reference)
}

func (m *manifests) get(w http.ResponseWriter, req *http.Request, name, reference string) error {
	found, err := m.lookUp(req.Context(), name, reference, req.Header.Get("Accept"))
	if errors.Is(err, registry.ErrNotFound) {
		writeError(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "no image "+name+" "+reference+" was loaded into the cluster")
		return nil
	}
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, "UNAVAILABLE", err.Error())
		return err
	}
	w.Header().Set("Content-Type", found.mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(found.content)))
	w.Header().Set("Docker-Content-Digest", found.digest)
	w.WriteHeader(http.StatusOK)
	if req.Method == http.MethodGet {
		_, _ = w.Write(found.content)
	}
	return nil
}

func (m *manifests) lookUp(ctx context.Context, name, reference, accept string) (manifest, error) {
	digest := reference
	if !isDigest(reference) {
		var err error
		if digest, err = m.tags.digest(ctx, name, reference); err != nil {
			return manifest{}, err
		}
	}
	found, err := m.read(digest)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if !peersAllowed(ctx) {
		return manifest{}, registry.ErrNotFound
	}
	if found, err = m.peers.manifest(ctx, name, digest, accept); err != nil {
		return manifest{}, err
	}
	return found, m.write(found)
}

func (m *manifests) put(w http.ResponseWriter, req *http.Request, name, reference string) error {
	content, err := io.ReadAll(io.LimitReader(req.Body, maxManifest+1))
	if err != nil {
		writeError(w, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
		return nil
	}
	put, err := newManifest(content, req.Header.Get("Content-Type"))
	if err == nil && isDigest(reference) {
		err = put.check(reference)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, "MANIFEST_INVALID", err.Error())
		return nil
	}
	if err := m.write(put); err != nil {
		writeError(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return err
	}
	if !isDigest(reference) {
		if err := m.tags.set(req.Context(), name, reference, put.digest); err != nil {
			writeError(w, http.StatusServiceUnavailable, "UNAVAILABLE", err.Error())
			return err
		}
	}
	w.Header().Set("Location", "/v2/"+name+"/manifests/"+put.digest)
	w.Header().Set("Docker-Content-Digest", put.digest)
	w.WriteHeader(http.StatusCreated)
	return nil
}

func newManifest(content []byte, mediaType string) (manifest, error) {
	if len(content) > maxManifest {
		return manifest{}, fmt.Errorf("a manifest holds at most %d bytes", maxManifest)
	}
	var head struct {
		MediaType     types.MediaType `json:"mediaType"`
		SchemaVersion int             `json:"schemaVersion"`
	}
	if err := json.Unmarshal(content, &head); err != nil || head.SchemaVersion != 2 {
		return manifest{}, errors.New("not a manifest of schema version 2")
	}
	if head.MediaType != "" {
		mediaType = string(head.MediaType)
	}
	if t := types.MediaType(mediaType); !t.IsImage() && !t.IsIndex() {
		return manifest{}, fmt.Errorf("media type %q is neither an image's nor an index's", mediaType)
	}
	sum := sha256.Sum256(content)
	return manifest{digest: "sha256:" + hex.EncodeToString(sum[:]), mediaType: mediaType, content: content}, nil
}

// check compares a manifest with the digest that it was asked for by.
func (m manifest) check(digest string) error {
	if m.digest != digest {
		return fmt.Errorf("the manifest has digest %s, not %s", m.digest, digest)
	}
	return nil
}

func (m *manifests) read(digest string) (manifest, error) {
	stored, err := os.ReadFile(m.path(digest))
	if err != nil {
		return manifest{}, err
	}
	// The first line is the media type, the rest the manifest as it was put.
	mediaType, content, _ := bytes.Cut(stored, []byte("\n"))
	return manifest{digest: digest, mediaType: string(mediaType), content: content}, nil
}

func (m *manifests) write(put manifest) error {
	stored := io.MultiReader(strings.NewReader(put.mediaType+"\n"), bytes.NewReader(put.content))
	if err := writeAtomically(m.dir, m.path(put.digest), stored); err != nil {
		return fmt.Errorf("write manifest %s: %w", put.digest, err)
	}
	return nil
}

func (m *manifests) path(digest string) string {
	return filepath.Join(m.dir, "manifests", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// verifying fails at the end of a content that has another digest.
func verifying(content io.ReadCloser, want v1.Hash) io.ReadCloser {
	return &verifyingReader{ReadCloser: content, sum: sha256.New(), want: want.Hex}
}

type verifyingReader struct {
	io.ReadCloser
	sum  hash.Hash
	want string
}

func (r *verifyingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.sum.Write(p[:n])
	if errors.Is(err, io.EOF) {
		if got := hex.EncodeToString(r.sum.Sum(nil)); got != r.want {
			return n, fmt.Errorf("content has digest sha256:%s, not sha256:%s", got, r.want)
		}
	}
	return n, err
}
