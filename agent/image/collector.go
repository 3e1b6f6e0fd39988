package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// interval between two looks at the disk, as in Kubernetes.
const interval = 5 * time.Minute

// Node is the part of a runtime that says which images there are, which are used
// and how much room there is.
type Node interface {
	Pods(ctx context.Context) ([]runtime.Pod, error)
	Images(ctx context.Context) ([]runtime.Image, error)
	RemoveImage(ctx context.Context, ref string) error
	ImageDisk(ctx context.Context) (runtime.Disk, error)
}

// Collector removes images that no container uses when the disk that holds them
// is 85 % full, until it is 80 % full.
type Collector struct {
	node   Node
	notify Notify
	logger *slog.Logger
	ledger ledger
}

// NewCollector prepares for Run; notify tells of events on the node.
func NewCollector(node Node, notify Notify, logger *slog.Logger) *Collector {
	return &Collector{node: node, notify: notify, logger: logger, ledger: ledger{}}
}

// Run looks every five minutes until ctx ends. What goes wrong is told as an
// event and tried again.
func (c *Collector) Run(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := c.collect(ctx); err != nil && ctx.Err() == nil {
			c.logger.Warn("images could not be removed", "error", err)
			c.notify(corev1.EventTypeWarning, "ImageGCFailed", err.Error())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (c *Collector) collect(ctx context.Context) error {
	now, err := c.note(ctx)
	if err != nil {
		return err
	}
	disk, err := c.node.ImageDisk(ctx)
	if err != nil {
		return err
	}
	if disk.Capacity <= 0 {
		return errors.New("the disk of the images has no size")
	}
	if excess(disk, highPercent) <= 0 {
		return nil
	}
	c.logger.Info("the disk of the images is full: removing those that are not used", "capacity", disk.Capacity, "available", disk.Available)
	var failed []string
	var errs []error
	for excess(disk, lowPercent) > 0 {
		refs := slices.DeleteFunc(c.ledger.removable(now), func(ref string) bool { return slices.Contains(failed, ref) })
		if len(refs) == 0 {
			return errors.Join(append(errs, fmt.Errorf("%d bytes more should be free on the disk of the images, "+
				"but no other image is unused for long enough: remove data from it, or enlarge it", excess(disk, lowPercent)))...)
		}
		if err := c.node.RemoveImage(ctx, refs[0]); err != nil {
			failed, errs = append(failed, refs[0]), append(errs, err)
		} else {
			c.logger.Info("removed an image", "image", refs[0])
		}
		// Removing may take long, and meanwhile others are put to use. How much it
		// freed is only known afterwards: images share layers.
		if now, err = c.note(ctx); err != nil {
			return err
		}
		if disk, err = c.node.ImageDisk(ctx); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// note enters into the ledger what there is now.
func (c *Collector) note(ctx context.Context) (time.Time, error) {
	images, err := c.node.Images(ctx)
	if err != nil {
		return time.Time{}, err
	}
	pods, err := c.node.Pods(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	c.ledger.note(images, pods, now)
	return now, nil
}
