package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/singleflight"

	"github.com/musterhq/muster/internal/durable"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// blobs keeps layers and image configurations by digest. What a file holds was
// verified when it came in.
type blobs struct {
	dir      string
	peers    *peers
	fetching singleflight.Group
}

var (
	_ registry.BlobHandler     = (*blobs)(nil)
	_ registry.BlobStatHandler = (*blobs)(nil)
	_ registry.BlobPutHandler  = (*blobs)(nil)
)

func (b *blobs) path(h v1.Hash) string { return filepath.Join(b.dir, "blobs", "sha256", h.Hex) }

// Stat implements registry.BlobStatHandler.
func (b *blobs) Stat(ctx context.Context, repo string, h v1.Hash) (int64, error) {
	if err := b.ensure(ctx, repo, h); err != nil {
		return 0, err
	}
	info, err := os.Stat(b.path(h))
	if err != nil {
		return 0, fmt.Errorf("blob %s: %w", h, err)
	}
	return info.Size(), nil
}

// Get implements registry.BlobHandler.
func (b *blobs) Get(ctx context.Context, repo string, h v1.Hash) (io.ReadCloser, error) {
	if err := b.ensure(ctx, repo, h); err != nil {
		return nil, err
	}
	f, err := os.Open(b.path(h))
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", h, err)
	}
	return f, nil
}

// Put implements registry.BlobPutHandler; the reader fails at its end when the
// content is not what the digest says.
func (b *blobs) Put(_ context.Context, _ string, h v1.Hash, content io.ReadCloser) error {
	if h.Algorithm != "sha256" {
		return fmt.Errorf("blob %s: only sha256 digests are kept", h)
	}
	return writeAtomically(b.dir, b.path(h), content)
}

// ensure brings a blob here from another member.
func (b *blobs) ensure(ctx context.Context, repo string, h v1.Hash) error {
	if h.Algorithm != "sha256" {
		return registry.ErrNotFound
	}
	_, err := os.Stat(b.path(h))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !peersAllowed(ctx) {
		return registry.ErrNotFound
	}
	// The fetch serves all that wait for it, so it outlives the first one.
	_, err, _ = b.fetching.Do(h.String(), func() (any, error) {
		return nil, b.peers.blob(context.WithoutCancel(ctx), repo, h, func(content io.ReadCloser) error {
			return b.Put(ctx, repo, h, content)
		})
	})
	return err
}

// roomStep is how many bytes are written between two looks at the room on the disk.
const roomStep = 4 << 20

// sparing writes to a file for as long as its disk has room for more than the log.
type sparing struct {
	to      io.Writer
	dir     string
	allowed int
}

// Write writes, or says that there is no room.
func (s *sparing) Write(p []byte) (int, error) {
	if s.allowed < len(p) {
		if err := replica.CheckRoom(s.dir); err != nil {
			return 0, err
		}
		s.allowed = roomStep
	}
	s.allowed -= len(p)
	return s.to.Write(p)
}

// writeAtomically stores content as path: whole and synced, or not at all.
func writeAtomically(dir, path string, content io.Reader) error {
	f, err := os.CreateTemp(filepath.Join(dir, "uploads"), "upload-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = io.Copy(&sparing{to: f, dir: dir}, content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
