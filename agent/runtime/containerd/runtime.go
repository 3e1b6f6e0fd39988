// Package containerd runs pods in containerd. A sandbox is a directory with
// pinned namespaces and a cgroup, no process; containers are containerd's, and
// their labels say whose they are, so that nothing needs to be remembered
// elsewhere.
package containerd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/agent/runtime"
)

// Config says which containerd to use and where to keep state.
type Config struct {
	// Address of containerd's socket; its default when empty.
	Address string
	// Namespace within containerd; "muster" when empty.
	Namespace string
	// StateDir holds a directory for each pod: pinned namespaces and exit
	// records. It must lie on a file system of this machine.
	StateDir string
	// Snapshotter is containerd's default when empty.
	Snapshotter string
	// LogWriter is the command, and at most one argument, that gets a
	// container's output on the descriptors 3 and 4; the log's path is added.
	// The command must be an absolute path.
	LogWriter []string
	// Reaper is the command that is the first process of a pod whose containers
	// share their processes: an absolute path to a static binary, and arguments.
	// Without one there are no such pods.
	Reaper []string
	// Mirrors returns the registries that are asked for every image before its
	// own. It is called at each pull; nil if there are none.
	Mirrors func() []Mirror
	// Offline forbids asking any registry but the mirrors.
	Offline bool
	Logger  *slog.Logger
}

// Mirror is a registry that holds images under their full names.
type Mirror struct {
	// URL such as https://10.0.0.1:6443.
	URL string
	// TLS is nil for the system's certificate authorities.
	TLS *tls.Config
}

// Runtime implements runtime.Runtime.
type Runtime struct {
	cfg    Config
	run    string // names this Runtime among those of agents before it
	client *client.Client
	owners owners
	locks  locks
}

var _ runtime.Runtime = (*Runtime)(nil)

// New connects to containerd, which need not run yet: calls fail until it does.
func New(cfg Config) (*Runtime, error) {
	if cfg.Address == "" {
		cfg.Address = defaults.DefaultAddress
	}
	if cfg.Namespace == "" {
		cfg.Namespace = "muster"
	}
	if cfg.Snapshotter == "" {
		cfg.Snapshotter = defaults.DefaultSnapshotter
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if len(cfg.LogWriter) != 2 || !filepath.IsAbs(cfg.LogWriter[0]) {
		return nil, errors.New("containerd runtime: LogWriter must be an absolute path and one argument")
	}
	if !filepath.IsAbs(cfg.StateDir) {
		return nil, fmt.Errorf("containerd runtime: state directory %q is not absolute", cfg.StateDir)
	}
	c, err := client.New(cfg.Address, client.WithDefaultNamespace(cfg.Namespace))
	if err != nil {
		return nil, fmt.Errorf("connect containerd %s: %w", cfg.Address, err)
	}
	return &Runtime{cfg: cfg, run: rand.Text(), client: c, owners: newOwners(), locks: newLocks()}, nil
}

// Close ends the connection; containers run on.
func (r *Runtime) Close() error { return r.client.Close() }

// Version asks containerd for its version.
func (r *Runtime) Version(ctx context.Context) (string, error) {
	v, err := r.client.Version(ctx)
	if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded || errdefs.IsUnavailable(err) {
		return "", fmt.Errorf("containerd does not answer at %s: is it running? (systemctl status containerd; --containerd names another socket): %w", r.cfg.Address, err)
	}
	if err != nil {
		return "", fmt.Errorf("ask containerd's version: %w", err)
	}
	return "containerd://" + v.Version, nil
}

func (r *Runtime) context(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, r.cfg.Namespace)
}
