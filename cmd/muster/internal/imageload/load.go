// Package imageload puts images from an archive into the cluster's own registry.
package imageload

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Load pushes all images of an archive to all servers and tells what it does. A
// server that does not answer fetches the image from the others when it is
// asked for it; only when none took it has the load failed.
func Load(ctx context.Context, path string, targets []Target, out io.Writer) error {
	images, cleanup, err := Open(path)
	if err != nil {
		return err
	}
	defer cleanup()
	for _, image := range images {
		var failures []error
		for _, target := range targets {
			if err := target.Push(ctx, image); err != nil {
				failures = append(failures, err)
				_, _ = fmt.Fprintf(out, "%s: %s does not take it: %v\n", display(image), target.Name, err)
			}
		}
		if len(failures) == len(targets) {
			return fmt.Errorf("load %s: no server took it: %w", display(image), errors.Join(failures...))
		}
		_, _ = fmt.Fprintf(out, "%s is on %d of %d servers\n", display(image), len(targets)-len(failures), len(targets))
	}
	return nil
}

func display(image Image) string { return repository(image.Reference) + ":" + image.Reference.TagStr() }
