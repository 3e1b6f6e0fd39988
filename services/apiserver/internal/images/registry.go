// Package images is the cluster's own image registry, so that a node can pull
// what was loaded into the cluster on a machine without a network. Each server
// keeps blobs and manifests, by digest, on its disk and fetches what it lacks
// from the others; what a tag means is in the replicated state.
package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/musterhq/muster/internal/access"
	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Replica is the replicated state, called from any goroutine. Both block until
// the cluster answers or ctx ends; a view that Read returns holds every write
// that was acknowledged before.
type Replica interface {
	Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error)
	Read(ctx context.Context) (state.View, error)
}

// Config is what the registry needs.
type Config struct {
	// Dir keeps blobs and manifests.
	Dir string
	// Replica keeps the tags.
	Replica Replica
	// Peers lists the other servers' REST addresses, host:port. It does not block.
	Peers func() []string
	// Client calls them with this server's certificate.
	Client *http.Client
	Logger *slog.Logger
}

// Registry serves /v2/. The caller must be known already (access.UserFrom).
type Registry struct {
	blobs     *blobs
	manifests *manifests
	library   http.Handler // everything but manifests
	logger    *slog.Logger
}

// New prepares the directories.
func New(config Config) (*Registry, error) {
	if config.Dir == "" || config.Replica == nil || config.Client == nil || config.Peers == nil {
		return nil, errors.New("image registry: directory, replica, peers and client are required")
	}
	for _, dir := range []string{"blobs/sha256", "manifests/sha256", "uploads"} {
		if err := os.MkdirAll(filepath.Join(config.Dir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("image registry: %w", err)
		}
	}
	if err := emptyDir(filepath.Join(config.Dir, "uploads")); err != nil {
		return nil, fmt.Errorf("image registry: %w", err)
	}
	peers := &peers{list: config.Peers, client: config.Client}
	r := &Registry{
		blobs:     &blobs{dir: config.Dir, peers: peers},
		manifests: &manifests{dir: config.Dir, tags: tags{config.Replica}, peers: peers},
		logger:    config.Logger.With("component", "images"),
	}
	r.library = registry.New(registry.WithBlobHandler(r.blobs), registry.Logger(log.New(io.Discard, "", 0)))
	return r, nil
}

// emptyDir removes what a crash left half uploaded.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// ServeHTTP implements the OCI distribution API.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if code := admit(req); code != http.StatusOK {
		writeError(w, code, map[int]string{http.StatusUnauthorized: "UNAUTHORIZED", http.StatusForbidden: "DENIED"}[code],
			"the cluster's registry is read by nodes and written by administrators")
		return
	}
	// A member that asks for what it lacks must not be sent on to a third one.
	if req.Header.Get(localHeader) != "" {
		req = req.WithContext(withoutPeers(req.Context()))
	}
	if name, reference, ok := manifestPath(req.URL.Path); ok {
		if err := r.manifests.serve(w, req, name, reference); err != nil {
			r.logger.Warn("manifest request", "method", req.Method, "path", req.URL.Path, "error", err)
		}
		return
	}
	r.library.ServeHTTP(w, req)
}

// admit decides by the caller's role: nodes and servers read, administrators
// and servers write.
func admit(req *http.Request) int {
	user, _ := access.UserFrom(req.Context())
	switch user.Role() {
	case accessv1.Role_ROLE_ADMIN, accessv1.Role_ROLE_SERVER:
		return http.StatusOK
	case accessv1.Role_ROLE_NODE:
		if req.Method == http.MethodGet || req.Method == http.MethodHead {
			return http.StatusOK
		}
		return http.StatusForbidden
	case accessv1.Role_ROLE_ANONYMOUS:
		return http.StatusUnauthorized
	}
	return http.StatusForbidden
}

// manifestPath splits /v2/NAME/manifests/REFERENCE.
func manifestPath(path string) (name, reference string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return "", "", false
	}
	i := strings.LastIndex(rest, "/manifests/")
	if i <= 0 {
		return "", "", false
	}
	name, reference = rest[:i], rest[i+len("/manifests/"):]
	return name, reference, reference != "" && !strings.Contains(reference, "/")
}

// writeError answers as the distribution specification has it.
func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`+"\n", code, message)
}
